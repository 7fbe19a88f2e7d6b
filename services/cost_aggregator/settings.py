"""What the cost aggregator is told at start."""

from dataclasses import dataclass

from shared.settings import (
    AlertSettings,
    BrokerSettings,
    DatabaseSettings,
    ProcessSettings,
    RoutingSettings,
    load,
)

LEDGER_BATCH = 1000
"""How many usage events share one commit at most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every group this process needs."""

    process: ProcessSettings
    database: DatabaseSettings
    broker: BrokerSettings
    routing: RoutingSettings
    alerts: AlertSettings


def load_settings() -> Settings:
    """Read the environment, or end the process with one line that names the mistake."""
    return Settings(
        load(ProcessSettings),
        load(DatabaseSettings),
        load(BrokerSettings),
        load(RoutingSettings),
        load(AlertSettings),
    )
