"""A race between two calls: a second candidate is asked beside a first one that is slow to begin.

Who brings text first, or a whole answer, has won: the job hangs on its call alone, and the other
one is closed and settled at once, with what it consumed. If one of the two fails, the other goes on
alone. Invariant: of the two settlements, that of the call which the job hangs on comes last, for it
may end the job, and no attempt of a job that has ended can be settled.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

import structlog

from services.inference_worker.use_cases.answer_stream import AnswerStream, StreamPorts
from services.inference_worker.use_cases.asking import Asking
from services.inference_worker.use_cases.attempt import Ended, GoOn, RunAttempt
from services.inference_worker.use_cases.calling import Answered, Broke, CallOutcome, Overtaken
from services.inference_worker.use_cases.chat_calls import wants_json
from services.inference_worker.use_cases.claims import Claims, Unsure
from services.inference_worker.use_cases.settlements import Attempt, Call, CallEnd
from services.inference_worker.use_cases.turns import Run, Turn
from shared.domain.errors import TransientError, UnknownPriceError
from shared.domain.ids import AttemptId, JobId
from shared.domain.provider_calls import Meter
from shared.messages.requests import ChatRequest
from shared.ports.admission import Admitted, HeldUp

_log = structlog.stdlib.get_logger(__name__)
_AT_ONCE = timedelta(0)


def may_be_hedged(run: Run, attempt: Attempt) -> bool:
    """Tell whether another candidate may be asked beside an attempt.

    It must be the job's very first call, to the first candidate. A call that tries whether its
    provider is back is left alone, since its end must be known; so is an answer that comes in one
    piece, since its silence says nothing, and all of it is billed.
    """
    if run.hedge is None or run.is_diverted or attempt.is_fallback or attempt.claimed.number > 1:
        return False
    request = ChatRequest.model_validate_json(attempt.claimed.request_json)
    return not (attempt.admitted.probes or wants_json(request))


class _Race:
    """Who was first to bring text."""

    def __init__(self) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leader: AnswerStream | None = None

    def is_led_by(self, stream: AnswerStream) -> bool:
        """Tell whether a stream was the first to bring text."""
        return self._leader is stream

    def brings_text(self, stream: AnswerStream) -> bool:
        """Take note that a stream has text; tell whether it may be shown."""
        if self._leader is None:
            self._leader = stream
            self.begun.set_result(None)
        return self.is_led_by(stream)


class _RacingStream(AnswerStream):
    """The answer of one of two calls; of the slower one nothing is ever shown."""

    def __init__(
        self, race: _Race, ports: StreamPorts, job_id: JobId, attempt_id: AttemptId, number: int
    ) -> None:
        super().__init__(ports, job_id, attempt_id, number)
        self._race = race

    async def add(self, text: str) -> None:
        """Take the next piece, unless the other call was first."""
        if text and self._race.brings_text(self):
            await super().add(text)


@dataclass(slots=True, eq=False)
class _Racer:
    """One of the two calls.

    Attributes:
        turn: Whose.
        meter: What it had consumed, once it was closed.
        task: Its outcome and its end.
    """

    turn: Turn
    call: Call
    task: asyncio.Task[tuple[CallOutcome, CallEnd]]
    meter: Meter = field(default_factory=Meter)

    @property
    def has_answered(self) -> bool:
        """Tell whether the whole answer is there."""
        return self.task.done() and isinstance(self.task.result()[0], Answered)


class RunHedged:
    """Runs a job's first attempt, with a second one beside it if it is slow to begin."""

    def __init__(self, asking: Asking, claims: Claims, run: RunAttempt) -> None:
        self._asking = asking
        self._admission = asking.admission
        self._claims = claims
        self._run = run

    async def __call__(self, run: Run, attempt: Attempt, after: timedelta) -> Ended | GoOn:
        """Run the attempt, and the one beside it, to their settlements; idempotent by attempt id.

        Args:
            run: Whose turn is the attempt's; it is that of the attempt whose end is returned then.
            attempt: The first one.
            after: How long it may take to bring text before another candidate is asked.
        """
        race = _Race()
        racers = [self._start(race, attempt, run.turns[0])]
        first = racers[0]
        try:
            await _until_any([first.task, race.begun], after)
            if _is_open(race, first) and (second := await self._second(run, race, first)):
                racers.append(second)
                await _until_any([first.task, second.task, race.begun])
                return await self._ended(run, await self._decided(run, race, first, second))
            return await self._ended(run, first)
        finally:
            await _closed(racers)

    def _start(self, race: _Race, attempt: Attempt, turn: Turn) -> _Racer:
        call, meter = self._run.begin(attempt, partial(_RacingStream, race)), Meter()
        name = f"attempt:{attempt.attempt_id}"
        return _Racer(turn, call, asyncio.create_task(self._answer(call, meter), name=name), meter)

    async def _answer(self, call: Call, meter: Meter) -> tuple[CallOutcome, CallEnd]:
        outcome = await self._run.call(call, meter)
        return outcome, self._run.end_of(call)

    async def _second(self, run: Run, race: _Race, first: _Racer) -> _Racer | None:
        """Call who may be asked at once beside the first, if there is such a candidate."""
        for turn in run.others_beside:
            asked = self._priced(run, turn)
            admitted = None if asked is None else await self._admit(run, asked)
            if asked is None or admitted is None:
                continue
            attempt = await self._claim(run, first.call.attempt, asked, admitted)
            if attempt is None:
                return None
            if not _is_open(race, first):
                await self._not_called(attempt)
                return None
            run.ask_beside(turn, asked)
            _log.info("job.hedged", job_id=run.job.job_id, attempt_id=attempt.attempt_id)
            return self._start(race, attempt, asked)
        return None

    def _priced(self, run: Run, turn: Turn) -> Turn | None:
        """Return who is asked in a turn, at today's price; None for nobody, or the same again."""
        while self._admission.is_retired(turn.candidate) and turn.successor is not None:
            turn = turn.successor
        if turn.candidate == run.turns[0].candidate:
            return None
        try:
            return self._asking.priced_anew(run, turn)
        except UnknownPriceError:
            return None

    async def _admit(self, run: Run, turn: Turn) -> Admitted | None:
        try:
            admitted = await self._asking.admit(run, turn, _AT_ONCE)
        except TransientError:
            return None
        if isinstance(admitted, HeldUp):
            return None
        if admitted.probes:  # whether a provider is back, a call tells that is not closed early
            await self._admission.not_called(admitted)
            return None
        return admitted

    async def _claim(
        self, run: Run, first: Attempt, turn: Turn, admitted: Admitted
    ) -> Attempt | None:
        found = await self._claims.claim_beside(run, first, turn, admitted)
        if isinstance(found, Unsure):
            await self._not_called(found.attempt)
            return None
        if found is None:
            await self._admission.not_called(admitted)
        return found

    async def _not_called(self, attempt: Attempt) -> None:
        """Settle an attempt that is, or may be, on the books for nothing."""
        end = self._run.end_of(self._run.begin(attempt, AnswerStream))
        await self._run.settle_beside(attempt, Overtaken(was_called=False), end)

    async def _decided(self, run: Run, race: _Race, first: _Racer, second: _Racer) -> _Racer:
        """Settle one of the calls, and return the other, on which the job hangs."""
        ahead = _ahead(race, first, second)
        behind = second if ahead is first else first
        attempt = behind.call.attempt
        outcome, end = await self._close(behind)
        settled = await self._run.settle_beside(attempt, outcome, end)
        ahead.call = replace(
            ahead.call, attempt=ahead.call.attempt.after(settled.cost_usd, settled.failures)
        )
        failed = behind.turn if isinstance(outcome, Broke) else None
        is_gone = self._admission.is_retired(attempt.candidate)
        run.hang_on(ahead.turn, failed, is_gone=is_gone)
        return ahead

    async def _close(self, racer: _Racer) -> tuple[Broke | Overtaken, CallEnd]:
        await _closed([racer])
        if racer.task.cancelled():
            usage, request_id = racer.meter.usage, racer.meter.provider_request_id
            return Overtaken(usage, request_id), self._run.end_of(racer.call)
        outcome, end = racer.task.result()
        if isinstance(outcome, Broke):
            return outcome, end
        finished = outcome.finished
        return Overtaken(finished.usage, finished.provider_request_id), end

    async def _ended(self, run: Run, racer: _Racer) -> Ended | GoOn:
        outcome, end = await racer.task
        return await self._run.settle(racer.call, outcome, end, goes_on_after=run.goes_on_after)


def _is_open(race: _Race, first: _Racer) -> bool:
    """Tell whether the first call has neither begun to answer nor ended."""
    return not (race.begun.done() or first.task.done())


def _ahead(race: _Race, first: _Racer, second: _Racer) -> _Racer:
    """Return the call that the job hangs on from now on; text or an end has come of one."""
    for racer in (first, second):
        if race.is_led_by(racer.call.answer):
            return racer
    for racer in (first, second):
        if racer.has_answered:
            return racer
    return second if first.task.done() else first


async def _until_any(
    futures: Sequence[asyncio.Future[tuple[CallOutcome, CallEnd]] | asyncio.Future[None]],
    patience: timedelta | None = None,
) -> None:
    timeout = None if patience is None else patience.total_seconds()
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


async def _closed(racers: Sequence[_Racer]) -> None:
    """Return once no call is under way; one that was is closed."""
    for racer in racers:
        racer.task.cancel()
    await asyncio.wait([racer.task for racer in racers])
