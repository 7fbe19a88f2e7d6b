"""Builds the adapters of every provider that has credentials.

Invariant: one pool of connections per provider and process, closed by `aclose`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.routes import Server
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
from shared.providers.openai_servers import OpenAIServer, open_client
from shared.settings import CloudflareSettings, OpenAISettings, ProviderKeySettings

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


@dataclass(frozen=True, slots=True)
class FurtherServers:
    """Servers with OpenAI's API that the routing table names, and their keys."""

    servers: Mapping[Provider, Server]
    keys: ProviderKeySettings

    def open(self, limits: TimeLimits) -> Sequence[OpenAIServer]:
        """Return a client of each; whether they can be reached shows when they are called."""
        return [
            OpenAIServer(
                provider,
                open_client(server.base_url, self.keys.key_of(provider), limits),
                server.max_tokens_field,
                encodes_vectors=False,
            )
            for provider, server in self.servers.items()
        ]


def build_providers(
    cloudflare: CloudflareSettings,
    openai: OpenAISettings,
    limits: TimeLimits = _DEFAULT_LIMITS,
    further: FurtherServers | None = None,
) -> Providers:
    """Return the adapters of every provider; nothing is sent yet."""
    connection = CloudflareConnection(_account(cloudflare), limits)
    client = open_client(openai.base_url, openai.api_key.get_secret_value(), limits)
    servers = [OpenAIServer(OPENAI, client), *(further.open(limits) if further else ())]
    return Providers(
        chat={
            CLOUDFLARE: CloudflareChatModel(connection, limits),
            **{server.provider: OpenAIChatModel(server, limits) for server in servers},
        },
        embedding={
            CLOUDFLARE: CloudflareEmbeddingModel(connection, limits),
            **{server.provider: OpenAIEmbeddingModel(server, limits) for server in servers},
        },
        catalogues={
            CLOUDFLARE: CloudflareModelCatalogue(connection, limits),
            **{server.provider: OpenAIModelCatalogue(server.client, limits) for server in servers},
        },
        _closers=(connection.aclose, *(server.client.close for server in servers)),
    )


def _account(settings: CloudflareSettings) -> CloudflareAccount:
    return CloudflareAccount(
        account_id=settings.account_id,
        tokens=settings.tokens,
        base_url=settings.base_url,
        gateway_id=settings.gateway_id,
        encodes_model=settings.encode_model,
    )
