"""Workers AI over HTTP: a stack of connections, and tokens that rotate.

Invariant: a response that is handed out has status 2xx, and it is closed however its reader ends;
every other status is raised as what Cloudflare says in its body.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

import httpx
import orjson

from shared.domain.catalog import CLOUDFLARE, Operation
from shared.domain.errors import ProviderPermanentError, ProviderTransientError
from shared.domain.provider_calls import ChatCall, EmbeddingCall
from shared.providers.cloudflare_shapes import error_code
from shared.providers.connection_stack import ConnectionStack
from shared.providers.errors import Refusal, refusal_error
from shared.providers.json_reading import JsonObject, MalformedAnswerError, decode_object
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.proxies import proxy_for
from shared.providers.trust import trusted_authorities

_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_UNAUTHORIZED = 401
_SET_ASIDE_SECONDS = 60.0
_API = "https://api.cloudflare.com/client/v4"
_GATEWAY_HOST = "gateway.ai.cloudflare.com"
_ONE_CONNECTION = httpx.Limits(
    max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0
)


@dataclass(frozen=True, slots=True)
class CloudflareAccount:
    """Who asks, and where.

    Attributes:
        tokens: At least one; they take turns.
        base_url: The API, or an AI gateway's own address.
        gateway_id: Sends calls to the API through this AI gateway.
        encodes_model: Whether slashes in a model's name are sent percent-encoded, as Cloudflare's
            own SDK does.
    """

    account_id: str
    tokens: Sequence[str] = field(repr=False)
    base_url: str = _API
    gateway_id: str | None = None
    encodes_model: bool = False

    def run_url(self, model: str) -> str:
        """Return where a model is called."""
        if self.encodes_model:
            model = quote(model, safe="@")
        base = self.base_url.rstrip("/")
        if _GATEWAY_HOST in base:
            return f"{base}/workers-ai/{model}"
        return f"{base}/accounts/{self.account_id}/ai/run/{model}"

    def models_url(self) -> str:
        """Return where models are listed; a gateway's own address lists none."""
        base = _API if _GATEWAY_HOST in self.base_url else self.base_url.rstrip("/")
        return f"{base}/accounts/{self.account_id}/ai/models/search"


class TokenRotation:
    """Hands out tokens in turn; one that was refused stays aside for a minute.

    When all are aside they take turns all the same: a call that may fail beats one that must.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = list(tokens)
        self._next = 0
        self._aside_until_by_token: dict[str, float] = {}

    def next(self, now: float, wanted: int | None = None) -> str:
        """Return the token whose turn it is.

        Args:
            now: Monotonic.
            wanted: The number of the one that should be used, if it is not set aside.
        """
        first = self._next if wanted is None else wanted % len(self._tokens)
        turns = self._tokens[first:] + self._tokens[:first]
        token = next((one for one in turns if not self._is_aside(one, now)), turns[0])
        self._next = (self._tokens.index(token) + 1) % len(self._tokens)
        return token

    def set_aside(self, token: str, now: float) -> bool:
        """Pass over a token for a minute; tell whether another one can take its place."""
        self._aside_until_by_token[token] = now + _SET_ASIDE_SECONDS
        return any(not self._is_aside(one, now) for one in self._tokens)

    def _is_aside(self, token: str, now: float) -> bool:
        return self._aside_until_by_token.get(token, now) > now


class CloudflareConnection:
    """Posts requests to models, and reads their list."""

    def __init__(self, account: CloudflareAccount, limits: TimeLimits) -> None:
        self._account = account
        self._tokens = TokenRotation(account.tokens)
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if account.gateway_id:
            self._headers["cf-aig-gateway-id"] = account.gateway_id
        timeout = httpx.Timeout(None, connect=limits.connect, pool=limits.connect)
        self._extensions = {"timeout": timeout.as_dict()}
        self._connections = ConnectionStack(
            partial(
                httpx.AsyncHTTPTransport,
                verify=trusted_authorities(),
                limits=_ONE_CONNECTION,
                proxy=proxy_for(account.base_url),
            )
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connections.aclose()

    @asynccontextmanager
    async def post(
        self,
        operation: Operation,
        call: ChatCall | EmbeddingCall,
        body: JsonObject,
        deadline: Deadline,
    ) -> AsyncGenerator[httpx.Response]:
        """Call a model and hand out its answer, of which only the headers have been read.

        Raises:
            ProviderTransientError: Cloudflare answered with an error.
            ProviderPermanentError: Cloudflare says that the request is wrong.
            TimeoutError: A limit was reached.
            httpx.HTTPError: The connection failed.
        """
        url = self._account.run_url(call.model)
        request = self._request("POST", url, orjson.dumps(body))
        async with self._answered(operation, request, deadline, call.credential) as response:
            yield response

    @asynccontextmanager
    async def list_models(
        self, query: Mapping[str, str], deadline: Deadline
    ) -> AsyncGenerator[httpx.Response]:
        """Ask for a page of the models and hand it out as `post` does.

        Raises:
            ProviderTransientError: Cloudflare answered with an error.
            ProviderPermanentError: Cloudflare says that the request is wrong.
            TimeoutError: A limit was reached.
            httpx.HTTPError: The connection failed.
        """
        url = httpx.URL(self._account.models_url(), params=query)
        async with self._answered(Operation.CHAT, self._request("GET", url), deadline) as response:
            yield response

    def _request(self, method: str, url: httpx.URL | str, content: bytes = b"") -> httpx.Request:
        return httpx.Request(
            method, url, headers=self._headers, content=content, extensions=self._extensions
        )

    @asynccontextmanager
    async def _answered(
        self,
        operation: Operation,
        request: httpx.Request,
        deadline: Deadline,
        credential: int | None = None,
    ) -> AsyncGenerator[httpx.Response]:
        response = await self._send(request, deadline, credential)
        try:
            if not response.is_success:
                async with deadline.waiting():
                    raise _refusal(operation, response, await response.aread())
            yield response
        finally:
            await response.aclose()

    async def _send(
        self, request: httpx.Request, deadline: Deadline, credential: int | None
    ) -> httpx.Response:
        """Send with the next token, and again while tokens are refused and others are left."""
        clock = asyncio.get_running_loop()
        while True:
            token = self._tokens.next(clock.time(), credential)
            request.headers["authorization"] = f"Bearer {token}"
            async with deadline.waiting():
                response = await self._connections.handle_async_request(request)
            if response.status_code != _UNAUTHORIZED:
                return response
            if not self._tokens.set_aside(token, clock.time()):
                return response
            await response.aclose()


def request_id_of(response: httpx.Response) -> str | None:
    """Return Cloudflare's id of a request."""
    ray: str | None = response.headers.get("cf-ray")
    return ray


def refused(
    operation: Operation, response: httpx.Response, body: JsonObject
) -> ProviderTransientError | ProviderPermanentError:
    """Return the error for a decoded error body."""
    refusal = Refusal(
        CLOUDFLARE,
        operation,
        response.status_code,
        (error_code(body),),
        response.headers,
        request_id_of(response),
    )
    return refusal_error(refusal)


def transport_code(error: httpx.HTTPError, *, has_begun: bool) -> str:
    """Return our code for a failure of the connection; `has_begun` once headers have come."""
    if isinstance(error, httpx.DecodingError):
        return "malformed"
    if isinstance(error, _NOT_CONNECTED) or not has_begun:
        return "connection"
    return "stream_cut"


def _refusal(
    operation: Operation, response: httpx.Response, content: bytes
) -> ProviderTransientError | ProviderPermanentError:
    try:
        return refused(operation, response, decode_object(content))
    except MalformedAnswerError:
        return refused(operation, response, {})
