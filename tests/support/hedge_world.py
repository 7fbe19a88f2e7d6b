"""A worker whose route is hedged, and the moments at which its providers do something."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.claims import ClaimOutcome
from shared.domain.pricing import PriceBook
from shared.domain.routes import Candidate, Hedge, Routed
from shared.domain.work import Settlement
from shared.messages.commands import CompleteChat
from shared.messages.frames import JobCompleted, JobDelta, JobReset
from shared.ports.admission import Admitted, HeldUp
from tests.support.chat_world import ARM, LLAMA, LUNA, PRICES, ChatWorld, claim, command
from tests.support.fake_providers import BreaksOff, Hangs, Refuses, Says, Waits
from tests.support.fakes_of_admission import ScriptedAdmission
from tests.support.waiting import wait_until

AT_ONCE = timedelta(milliseconds=1)
NEVER = timedelta(hours=1)
NO_TEXT = Hangs(())
OTHER = Candidate(OPENAI, "luna")
"""A third candidate: the second one's model, called in another way."""


def hedged(*candidates: Candidate, after: timedelta = AT_ONCE) -> Routed:
    """Return a hedged route."""
    return Routed(candidates or (LLAMA, LUNA), ARM, hedge=Hedge(after, Decimal(5)))


def two_claims() -> list[ClaimOutcome]:
    """Return the claims of two attempts that run side by side, and of a third one after both."""
    return [claim(1), claim(2), claim(3, failures=1)]


@dataclass
class HedgeWorld:
    """A worker with llama first and luna beside it; each waits for its moment.

    Attributes:
        llama: What llama does once `llama_time` has come.
        luna: What luna does once `luna_time` has come.
    """

    llama: Says | Refuses | BreaksOff | Hangs = field(default_factory=Says)
    luna: Says | Refuses | BreaksOff | Hangs = field(default_factory=lambda: Says(("Hi", " you")))
    routed: Routed = field(default_factory=hedged)
    claims: list[ClaimOutcome] = field(default_factory=two_claims)
    admission: ScriptedAdmission = field(default_factory=ScriptedAdmission)
    prices: PriceBook = PRICES

    def __post_init__(self) -> None:
        self.llama_time, self.luna_time = asyncio.Event(), asyncio.Event()
        self.chat = ChatWorld(
            self.claims,
            Waits(self.llama_time, self.llama),
            Waits(self.luna_time, self.luna),
            route=self._route,
            prices=self.prices,
            admission=self.admission,
        )
        self._job: asyncio.Task[None] | None = None

    def _route(self, job: CompleteChat) -> Routed:
        del job
        return self.routed

    def begin(self, job: CompleteChat | None = None) -> asyncio.Task[None]:
        """Deliver a job."""
        self._job = asyncio.create_task(self.chat.complete_chat(job or command()))
        return self._job

    async def both_are_called(self) -> asyncio.Task[None]:
        """Deliver a job, and return once both candidates were called for it."""
        job = self.begin()
        await wait_until(lambda: job.done() or self.chat.calls == ["llama", "luna"])
        assert not job.done(), job
        return job

    async def ended(self) -> None:
        """Wait for the job's end; both providers may answer."""
        assert self._job is not None
        self.llama_time.set()
        self.luna_time.set()
        async with asyncio.timeout(5):
            await self._job

    async def cancelled(self) -> None:
        """Cancel the job's work, and wait for its end."""
        assert self._job is not None
        self._job.cancel()
        await asyncio.wait([self._job], timeout=5)
        assert self._job.cancelled()

    @property
    def settlements(self) -> list[Settlement]:
        """What was settled, in order."""
        return self.chat.attempts.settlements

    @property
    def codes(self) -> list[tuple[str, str | None]]:
        """The settled attempts' outcomes and error codes, in order."""
        results = [settlement.result for settlement in self.settlements]
        return [(r.outcome.value, r.error.code if r.error else None) for r in results]

    @property
    def shown(self) -> list[tuple[int, str]]:
        """The text that clients have seen, by attempt; a reset is shown as such."""
        return [
            (frame.attempt, frame.text if isinstance(frame, JobDelta) else f"reset: {frame.reason}")
            for frame in self.chat.frames.frames
            if isinstance(frame, JobDelta | JobReset)
        ]

    @property
    def completed(self) -> JobCompleted:
        """The job's last frame."""
        frame = self.chat.frames.frames[-1]
        assert isinstance(frame, JobCompleted)
        return frame

    @property
    def streams_open(self) -> int:
        """How many calls are under way."""
        models = self.chat.models
        return models[CLOUDFLARE].streams_open + models[OPENAI].streams_open


@dataclass
class SlowAdmission(ScriptedAdmission):
    """Lets luna through when the time has come."""

    time: asyncio.Event = field(default_factory=asyncio.Event)

    async def admit(
        self, candidate: Candidate, tokens: int, patience: timedelta
    ) -> Admitted | HeldUp:
        admitted = await super().admit(candidate, tokens, patience)
        if candidate == LUNA:
            await self.time.wait()
        return admitted
