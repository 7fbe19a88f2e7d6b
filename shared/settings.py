"""Settings groups: the only place that reads the environment, with one-line errors for mistakes.

Each composition root loads the groups it needs once, at start, and passes values on.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import (
    Field,
    PostgresDsn,
    SecretStr,
    UrlConstraints,
    ValidationError,
    field_validator,
)
from pydantic_core import Url
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.domain.catalog import PROVIDER_NAME, Provider

AmqpUrl = Annotated[Url, UrlConstraints(allowed_schemes=["amqp", "amqps"])]


class _Group(BaseSettings):
    """Reads `.env` and the environment; the environment wins; unknown names are ignored."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)


class DatabaseSettings(_Group):
    """Where the truth is kept."""

    database_url: PostgresDsn = Field(alias="DATABASE_URL", repr=False)

    @property
    def url(self) -> str:
        """Return the address with its secret; never log it."""
        return str(self.database_url)


class BrokerSettings(_Group):
    """Where work is queued."""

    rabbitmq_url: AmqpUrl = Field(alias="RABBITMQ_URL", repr=False)
    rabbitmq_management_url: str | None = Field(None, alias="RABBITMQ_MANAGEMENT_URL", repr=False)

    @property
    def url(self) -> str:
        """Return the address with its secret; never log it."""
        return str(self.rabbitmq_url)


class CloudflareSettings(_Group):
    """Workers AI; several tokens, comma-separated, rotate."""

    account_id: str = Field(alias="CLOUDFLARE_ACCOUNT_ID", min_length=1)
    api_token: SecretStr = Field(alias="CLOUDFLARE_API_TOKEN", min_length=1)
    base_url: str = Field("https://api.cloudflare.com/client/v4", alias="CLOUDFLARE_AI_GATEWAY_URL")
    gateway_id: str | None = Field(None, alias="CLOUDFLARE_AI_GATEWAY_ID")
    encode_model: bool = Field(default=False, alias="CLOUDFLARE_ENCODE_MODEL")

    @property
    def tokens(self) -> Sequence[str]:
        """Return the tokens; never log them."""
        tokens = [token.strip() for token in self.api_token.get_secret_value().split(",")]
        return [token for token in tokens if token]


class OpenAISettings(_Group):
    """OpenAI, or any server with its API."""

    api_key: SecretStr = Field(alias="OPENAI_API_KEY", min_length=1)
    base_url: str = Field("https://api.openai.com/v1", alias="OPENAI_BASE_URL")


class ProviderKeySettings(_Group):
    """Keys of the servers that the routing table names: `local=sk-…,other=…`."""

    keys: SecretStr = Field(SecretStr(""), alias="SLUICEWAY_PROVIDER_KEYS")

    @field_validator("keys")
    @classmethod
    def _names_servers(cls, keys: SecretStr) -> SecretStr:
        for pair in _pairs(keys):
            name, _, key = pair.partition("=")
            if not PROVIDER_NAME.fullmatch(name.strip()) or not key.strip():
                raise ValueError("write it as NAME=KEY,NAME=KEY with the names of [providers.NAME]")
        return keys

    def key_of(self, provider: Provider) -> str:
        """Return the key of a server, nothing for one without; never log it."""
        pairs = (pair.partition("=") for pair in _pairs(self.keys))
        return {name.strip(): key.strip() for name, _, key in pairs}.get(provider, "")


def _pairs(keys: SecretStr) -> list[str]:
    return [pair for pair in keys.get_secret_value().split(",") if pair.strip()]


class PatienceSettings(_Group):
    """How many seconds a provider may take: to connect, to begin, between two tokens, in all."""

    connect: float = Field(5.0, alias="SLUICEWAY_CONNECT_SECONDS", gt=0, le=60)
    first_token: float = Field(20.0, alias="SLUICEWAY_FIRST_TOKEN_SECONDS", gt=0, le=600)
    between_tokens: float = Field(15.0, alias="SLUICEWAY_BETWEEN_TOKENS_SECONDS", gt=0, le=600)
    total: float = Field(120.0, alias="SLUICEWAY_CALL_SECONDS", gt=0, le=3600)


class RoutingSettings(_Group):
    """Who answers what, at which price.

    Attributes:
        rate_limits: Whether the routing table's limits are kept; the simulator has none.
    """

    prices: Path = Field(Path("prices"), alias="SLUICEWAY_PRICES")
    routing: Path = Field(Path("deploy/routing.toml"), alias="SLUICEWAY_ROUTING")
    rate_limits: bool = Field(default=True, alias="SLUICEWAY_RATE_LIMITS")
    rollout: Decimal = Field(Decimal(1), alias="CLOUDFLARE_ROLLOUT", ge=0, le=1, decimal_places=4)


class AdminSettings(_Group):
    """The key that may do everything; made up by `sluiceway up` when unset."""

    admin_key: SecretStr = Field(alias="SLUICEWAY_ADMIN_KEY", min_length=16)


class AlertSettings(_Group):
    """Where alerts go beside the log: Apprise addresses, separated by spaces or commas."""

    urls: SecretStr = Field(SecretStr(""), alias="SLUICEWAY_ALERT_URLS")


class ProcessSettings(_Group):
    """How this process is called and where it answers health checks.

    Attributes:
        lease_seconds: How long a job stays with a worker that has gone silent.
        simulated: Whether the simulator stands in for the providers.
    """

    name: str = Field("sluiceway", alias="SLUICEWAY_PROCESS_NAME", pattern=r"^[a-z0-9-]{1,40}$")
    host: str = Field("127.0.0.1", alias="SLUICEWAY_HTTP_HOST")
    port: int = Field(8080, alias="SLUICEWAY_HTTP_PORT", ge=0, le=65535)
    prefetch: int = Field(16, alias="SLUICEWAY_PREFETCH", ge=1, le=1000)
    lease_seconds: float = Field(30.0, alias="SLUICEWAY_LEASE_SECONDS", ge=1, le=3600)
    drain_seconds: float = Field(150.0, alias="SLUICEWAY_DRAIN_SECONDS", ge=1, le=3600)
    simulated: bool = Field(default=False, alias="SLUICEWAY_SIMULATED")
    log_level: str = Field(
        "info", alias="SLUICEWAY_LOG_LEVEL", pattern="^(debug|info|warning|error)$"
    )


class StackSettings(_Group):
    """What `sluiceway up` takes as given instead of making it itself; all of it is optional."""

    database_url: str = Field("", alias="DATABASE_URL", repr=False)
    rabbitmq_url: str = Field("", alias="RABBITMQ_URL", repr=False)
    rabbitmq_management_url: str = Field("", alias="RABBITMQ_MANAGEMENT_URL", repr=False)
    admin_key: str = Field("", alias="SLUICEWAY_ADMIN_KEY", repr=False)
    cloudflare_account_id: str = Field("", alias="CLOUDFLARE_ACCOUNT_ID")
    cloudflare_api_token: str = Field("", alias="CLOUDFLARE_API_TOKEN", repr=False)
    openai_api_key: str = Field("", alias="OPENAI_API_KEY", repr=False)


GroupT = TypeVar("GroupT", bound=_Group)


def load(group: type[GroupT]) -> GroupT:
    """Return the settings of one group, or end the process with one line that names the mistake.

    Raises:
        SystemExit: A setting is missing or wrong; status 2.
    """
    try:
        return group()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg'].lower()}"
            for one in error.errors(include_input=False, include_url=False)
        )
        sys.stderr.write(f"sluiceway: wrong setting: {wrong}\n")
        raise SystemExit(2) from None


@dataclass(frozen=True, slots=True)
class ProviderWorkerSettings:
    """Every group that a process needs which calls providers."""

    process: ProcessSettings
    database: DatabaseSettings
    broker: BrokerSettings
    cloudflare: CloudflareSettings
    openai: OpenAISettings
    provider_keys: ProviderKeySettings
    routing: RoutingSettings
    patience: PatienceSettings

    @property
    def token_counts(self) -> Mapping[str, int]:
        """Return how many API tokens a provider has, where that is not one."""
        return {"cloudflare": len(self.cloudflare.tokens)}

    @classmethod
    def read(cls) -> "ProviderWorkerSettings":
        """Read the environment, or end the process with one line that names the mistake."""
        return cls(
            process=load(ProcessSettings),
            database=load(DatabaseSettings),
            broker=load(BrokerSettings),
            cloudflare=load(CloudflareSettings),
            openai=load(OpenAISettings),
            provider_keys=load(ProviderKeySettings),
            routing=load(RoutingSettings),
            patience=load(PatienceSettings),
        )
