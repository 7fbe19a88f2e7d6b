"""What the embedding worker is told at start."""

from dataclasses import dataclass

from shared.settings import (
    BrokerSettings,
    CloudflareSettings,
    DatabaseSettings,
    OpenAISettings,
    ProcessSettings,
    RoutingSettings,
    load,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every group this process needs."""

    process: ProcessSettings
    database: DatabaseSettings
    broker: BrokerSettings
    cloudflare: CloudflareSettings
    openai: OpenAISettings
    routing: RoutingSettings


def load_settings() -> Settings:
    """Read the environment, or end the process with one line that names the mistake."""
    return Settings(
        process=load(ProcessSettings),
        database=load(DatabaseSettings),
        broker=load(BrokerSettings),
        cloudflare=load(CloudflareSettings),
        openai=load(OpenAISettings),
        routing=load(RoutingSettings),
    )
