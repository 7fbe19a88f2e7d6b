"""What the inference worker is told at start: what every process is that calls providers."""

from shared.settings import ProviderWorkerSettings

Settings = ProviderWorkerSettings
load_settings = ProviderWorkerSettings.read
