"""Builds the adapters of every provider that has credentials.

Invariant: one pool of connections per provider and process, closed by `aclose`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.ports.models import ModelCatalogue
from shared.ports.providers import ChatModel, EmbeddingModel
from shared.providers.cloudflare_catalogue import CloudflareModelCatalogue
from shared.providers.cloudflare_chat import CloudflareChatModel
from shared.providers.cloudflare_connection import CloudflareAccount, CloudflareConnection
from shared.providers.cloudflare_embedding import CloudflareEmbeddingModel
from shared.providers.limits import TimeLimits
from shared.providers.openai_catalogue import OpenAIModelCatalogue
from shared.providers.openai_chat import OpenAIChatModel
from shared.providers.openai_embedding import OpenAIEmbeddingModel
from shared.providers.trust import trusted_authorities
from shared.settings import CloudflareSettings, OpenAISettings

_DEFAULT_LIMITS = TimeLimits()


@dataclass(frozen=True, slots=True)
class Providers:
    """The models that can be asked, and their lists, by provider."""

    chat: Mapping[Provider, ChatModel]
    embedding: Mapping[Provider, EmbeddingModel]
    catalogues: Mapping[Provider, ModelCatalogue]
    _closers: Sequence[Callable[[], Awaitable[None]]] = field(repr=False)

    async def aclose(self) -> None:
        """Close every connection."""
        for close in self._closers:
            await close()


def build_providers(
    cloudflare: CloudflareSettings, openai: OpenAISettings, limits: TimeLimits = _DEFAULT_LIMITS
) -> Providers:
    """Return the adapters of both providers; nothing is sent yet."""
    connection = CloudflareConnection(_account(cloudflare), limits)
    client = AsyncOpenAI(
        api_key=openai.api_key.get_secret_value(),
        base_url=openai.base_url,
        max_retries=0,
        timeout=Timeout(None, connect=limits.connect, pool=limits.connect),
        http_client=DefaultAsyncHttpxClient(verify=trusted_authorities()),
    )
    return Providers(
        chat={
            CLOUDFLARE: CloudflareChatModel(connection, limits),
            OPENAI: OpenAIChatModel(client, limits),
        },
        embedding={
            CLOUDFLARE: CloudflareEmbeddingModel(connection, limits),
            OPENAI: OpenAIEmbeddingModel(client, limits),
        },
        catalogues={
            CLOUDFLARE: CloudflareModelCatalogue(connection, limits),
            OPENAI: OpenAIModelCatalogue(client, limits),
        },
        _closers=(connection.aclose, client.close),
    )


def _account(settings: CloudflareSettings) -> CloudflareAccount:
    tokens = [token.strip() for token in settings.api_token.get_secret_value().split(",")]
    return CloudflareAccount(
        account_id=settings.account_id,
        tokens=[token for token in tokens if token],
        base_url=settings.base_url,
        gateway_id=settings.gateway_id,
    )
