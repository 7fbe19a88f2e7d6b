"""Adapters that end their own process with SIGKILL at one chosen point, as a power cut would.

They wrap what the composition roots are given, so that the product itself knows nothing of it.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.claims import ClaimOutcome, ClaimRequest
from shared.domain.embedding_space import EmbeddingSpace
from shared.domain.jobs import JobKind
from shared.domain.provider_calls import ChatCall, ChatEvent, EmbeddingAnswer, EmbeddingCall
from shared.domain.work import SettledJob, Settlement, StoredVector
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.embeddings import PostgresEmbeddings
from shared.persistence.repositories.outbox import PostgresOutbox
from shared.ports.providers import ChatModel, EmbeddingModel

_UNDER_WAY_SECONDS = 0.5
"""By then a provider on this machine has got a request."""


class Point(StrEnum):
    """Where a worker dies, in the order of a job's life."""

    BEFORE_CLAIM = "before_claim"
    AFTER_CLAIM = "after_claim"
    DURING_CALL = "during_call"
    AFTER_CALL = "after_call"
    AFTER_SETTLE = "after_settle"
    AFTER_PUBLISH = "after_publish"
    BEFORE_ACK = "before_ack"


@dataclass(slots=True)
class Death:
    """Waits for its point.

    Attributes:
        point: Where the process dies.
        has_settled: Whether the job has been settled here, so that its messages come next.
    """

    point: Point
    has_settled: bool = False

    def passes(self, point: Point) -> None:
        """End the process if this is the point."""
        if point is self.point:
            die()


def die() -> NoReturn:
    """End this process at once, without any cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process survived its own SIGKILL")


class DyingAttempts(PostgresAttempts):
    """Dies around the commits of a claim and of a settlement."""

    def __init__(self, engine: AsyncEngine, death: Death) -> None:
        super().__init__(engine)
        self._death = death

    async def claim(self, request: ClaimRequest) -> ClaimOutcome:
        """Claim, unless death comes first."""
        self._death.passes(Point.BEFORE_CLAIM)
        outcome = await super().claim(request)
        self._death.passes(Point.AFTER_CLAIM)
        return outcome

    async def settle(self, settlement: Settlement) -> SettledJob:
        """Settle, unless death comes first."""
        self._death.passes(Point.AFTER_CALL)
        settled = await super().settle(settlement)
        self._death.passes(Point.AFTER_SETTLE)
        self._death.has_settled = True
        return settled


class DyingEmbeddings(PostgresEmbeddings):
    """Dies around the commit that stores a batch's vectors."""

    def __init__(self, engine: AsyncEngine, death: Death) -> None:
        super().__init__(engine)
        self._death = death

    async def settle(
        self,
        settlement: Settlement,
        kind: JobKind,
        space: EmbeddingSpace,
        vectors: Sequence[StoredVector],
    ) -> SettledJob:
        """Settle, unless death comes first."""
        self._death.passes(Point.AFTER_CALL)
        settled = await super().settle(settlement, kind, space, vectors)
        self._death.passes(Point.AFTER_SETTLE)
        self._death.has_settled = True
        return settled


class DyingOutbox(PostgresOutbox):
    """Dies once the broker has the job's messages: before or after they are marked."""

    def __init__(self, engine: AsyncEngine, death: Death) -> None:
        super().__init__(engine)
        self._death = death

    async def sent(self, ids: Sequence[int]) -> None:
        """Mark, unless death comes first."""
        if self._death.has_settled:
            self._death.passes(Point.AFTER_PUBLISH)
        await super().sent(ids)
        if self._death.has_settled:
            self._death.passes(Point.BEFORE_ACK)


class DyingChatModel:
    """Dies once the first words of an answer have arrived."""

    def __init__(self, model: ChatModel, death: Death) -> None:
        self._model = model
        self._death = death

    async def stream(self, call: ChatCall) -> AsyncIterator[ChatEvent]:
        """Yield the answer as far as death lets it come."""
        async for event in self._model.stream(call):
            yield event
            self._death.passes(Point.DURING_CALL)


class DyingEmbeddingModel:
    """Dies once the provider has the request."""

    def __init__(self, model: EmbeddingModel, death: Death) -> None:
        self._model = model
        self._death = death

    async def embed(self, call: EmbeddingCall) -> EmbeddingAnswer:
        """Embed, unless death comes first."""
        if self._death.point is not Point.DURING_CALL:
            return await self._model.embed(call)
        asking = asyncio.create_task(self._model.embed(call))
        await asyncio.wait({asking}, timeout=_UNDER_WAY_SECONDS)
        die()
