"""Servers with OpenAI's API: OpenAI's own, and others that are providers of their own.

vLLM, Ollama, llama.cpp and LiteLLM share the API and differ in its corners; every difference that a
request depends on stands here. Invariant: one client, hence one pool of connections, per server.
"""

from dataclasses import dataclass, replace

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from shared.domain.catalog import OPENAI, Provider
from shared.domain.errors import FailureAction, ProviderPermanentError, ProviderTransientError
from shared.providers.errors import provider_error
from shared.providers.limits import TimeLimits
from shared.providers.trust import trusted_authorities

_NO_KEY = "none"
"""What a server without keys is sent: the SDK insists on one."""


@dataclass(frozen=True, slots=True)
class OpenAIServer:
    """One server and what it takes.

    Attributes:
        max_tokens_field: What it calls the limit on an answer's tokens.
        encodes_vectors: Whether it sends vectors as base64; all send them as numbers.
    """

    provider: Provider
    client: AsyncOpenAI
    max_tokens_field: str = "max_completion_tokens"
    encodes_vectors: bool = True

    def own(
        self, error: ProviderTransientError | ProviderPermanentError
    ) -> ProviderTransientError | ProviderPermanentError:
        """Return an error, told by OpenAI's rules, as this server's.

        What a server takes depends on how it was set up: what it calls invalid, such as tools or a
        long prompt, may suit the next candidate.
        """
        if self.provider == OPENAI:
            return error
        failure = error.failure
        message = f"{self.provider}: {failure.message.removeprefix(f'{OPENAI}: ')}"
        is_refused = failure.action is FailureAction.FAIL
        action = FailureAction.FALL_BACK if is_refused else failure.action
        return provider_error(replace(failure, message=message, action=action))


def open_client(base_url: str, key: str, limits: TimeLimits) -> AsyncOpenAI:
    """Return a client of one server; nothing is sent yet, so the server may be away."""
    return AsyncOpenAI(
        api_key=key or _NO_KEY,
        base_url=base_url,
        max_retries=0,
        timeout=Timeout(None, connect=limits.connect, pool=limits.connect),
        http_client=DefaultAsyncHttpxClient(verify=trusted_authorities()),
    )
