"""What use cases ask of a provider."""

from collections.abc import AsyncIterator
from typing import Protocol

from shared.domain.provider_calls import ChatCall, ChatEvent, EmbeddingAnswer, EmbeddingCall


class ChatModel(Protocol):
    """One provider's chat API."""

    def stream(self, call: ChatCall) -> AsyncIterator[ChatEvent]:
        """Yield `TextDelta`s in order, then exactly one `ChatFinished`.

        When its reader is cancelled, or closes it, the call ends at once and its meter is told what
        was consumed.

        Raises:
            ProviderTransientError: The provider failed, stalled, or the stream was cut.
            ProviderPermanentError: The provider refused the request for good.
        """
        ...


class EmbeddingModel(Protocol):
    """One provider's embedding API."""

    async def embed(self, call: EmbeddingCall) -> EmbeddingAnswer:
        """Embed one batch that is within the model's limits; vectors in the order of the texts.

        Raises:
            ProviderTransientError: The provider failed.
            ProviderPermanentError: The provider refused the request for good.
        """
        ...
