"""Answers one chat job: a paid attempt per candidate until one answers or the job must wait.

A candidate whose circuit is open, or whose rate limit is reached, is passed over. Where nobody else
is left, the delivery is held for a while, so that a backlog stays in its queue; a provider that
stays away longer has its jobs come back when it may be asked again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol, assert_never

from services.inference_worker.use_cases.attempt import Attempt, Ended, GoOn, RunAttempt
from services.inference_worker.use_cases.claims import Claims
from services.inference_worker.use_cases.turns import Run, Turn
from shared.domain.errors import TransientError, UnknownModelError, UnknownPriceError
from shared.domain.pricing import PriceBook, PriceRow, worst_case_usd
from shared.domain.routing import Candidate, Routed, price_of
from shared.domain.work import Divert, NoRoom
from shared.messages.commands import CompleteChat
from shared.ports.admission import LAST_PATIENCE, PATIENCE, Admission, Admitted, HeldUp
from shared.ports.clock import Clock


class Route(Protocol):
    """Who may answer a job."""

    def __call__(self, job: CompleteChat) -> Routed:
        """Return the candidates in order, and the arm that the user is in.

        Raises:
            UnknownModelError: The job asks for a model that its tier is not offered.
            TransientError: It is not known yet who is inside the rollout.
        """
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """How candidates are chosen and priced, and whether they may be called now."""

    route: Route
    prices: PriceBook
    admission: Admission
    clock: Clock


class CompleteChatJob:
    """Idempotent by job: a second delivery finds the job leased or done and changes nothing."""

    def __init__(self, asking: Asking, claims: Claims, run: RunAttempt) -> None:
        self._asking = asking
        self._admission = asking.admission
        self._claims = claims
        self._run = run

    async def __call__(self, job: CompleteChat) -> None:
        """Bring the job as far as it can be brought now.

        Raises:
            TransientError: Database or broker are away; the command must come back.
        """
        try:
            run = self._begin(job)
        except UnknownModelError as error:
            await self._claims.refuse(job, "unknown_model", str(error))
        except UnknownPriceError as error:
            await self._claims.refuse(job, "unknown_price", str(error))
        else:
            await self._take_turns(run)

    async def _take_turns(self, run: Run) -> None:
        """Let one candidate after the other answer, until one has or the job must wait."""
        held_until = self._asking.clock.now() + PATIENCE
        while run.turns:
            if not await self._takes_turn(run):
                return
            if not run.turns and run.held_up and not await self._waited(run, held_until):
                return
        if run.no_room is not None:  # pragma: no branch - the last attempt never goes on
            await self._claims.wait_for_room(run, run.no_room)

    async def _takes_turn(self, run: Run) -> bool:
        """Ask the next candidate; tell whether another one's turn has come."""
        if self._admission.is_retired(run.turns[0].candidate) and run.succeed():
            return True
        if run.is_ours:  # the calls before may have lasted until prices changed
            run.begin(self._priced_anew(run))
        admitted = await self._admit(run)
        if isinstance(admitted, HeldUp):
            run.hold_up(admitted, self._asking.clock.now())
            return True
        return await self._goes_on_with(run, await self._claim(run, admitted))

    async def _admit(self, run: Run) -> Admitted | HeldUp:
        candidate = run.turns[0].candidate
        tokens = run.job.input_tokens_bound + run.job.max_output_tokens
        patience = PATIENCE if run.has_others else LAST_PATIENCE
        return await self._admission.admit(candidate, tokens, patience)

    async def _goes_on_with(self, run: Run, outcome: Attempt | NoRoom | Divert | None) -> bool:
        """Do what the claim's outcome asks for; tell whether another one's turn has come."""
        match outcome:
            case Attempt():
                return await self._goes_on(run, outcome)
            case Divert():
                run.divert()
                return True
            case NoRoom(concerns_provider=True):
                run.skip(outcome)
                return True
            case NoRoom():
                await self._claims.wait_for_room(run, outcome)
                return False
            case None:
                return False
            case _:
                assert_never(outcome)

    async def _claim(self, run: Run, admitted: Admitted) -> Attempt | NoRoom | Divert | None:
        try:
            outcome = await self._claims.claim(run, admitted)
        except TransientError:
            await self._admission.not_called(admitted)
            raise
        if not isinstance(outcome, Attempt):
            await self._admission.not_called(admitted)
        return outcome

    async def _goes_on(self, run: Run, attempt: Attempt) -> bool:
        """Make the attempt; tell whether the next candidate is to be asked."""
        end = await self._run(attempt, goes_on_after=run.goes_on_after)
        match end:
            case Ended():
                return False
            case GoOn():
                is_gone = self._admission.is_retired(attempt.candidate)
                run.go_on(end.failures, end.restart_reason, is_gone=is_gone)
                return True
            case _:
                assert_never(end)

    async def _waited(self, run: Run, held_until: datetime) -> bool:
        """Hold the delivery until somebody may be asked; tell whether that is now."""
        held_up = min((held for _, held in run.held_up), key=lambda held: held.until)
        if held_up.until > held_until:
            await self._claims.put_off(run, held_up)
            return False
        await self._admission.wait(held_up.until)
        run.look_again()
        return True

    def _begin(self, job: CompleteChat) -> Run:
        routed = self._asking.route(job)
        turns = [
            self._turn(job, candidate, routed, is_fallback=position > 0)
            for position, candidate in enumerate(routed.candidates)
        ]
        return Run(job, turns, routed.arm)

    def _turn(
        self, job: CompleteChat, candidate: Candidate, routed: Routed, *, is_fallback: bool
    ) -> Turn:
        """Return a candidate's turn if it began now.

        Raises:
            UnknownPriceError: Nothing says what its call costs.
        """
        row, hold_usd = self._price(job, candidate)
        turn = Turn(candidate, row, hold_usd, is_fallback, None, candidate == routed.divert)
        successor = routed.successors.get(candidate)
        if successor is None:
            return turn
        return replace(turn, successor=self._turn(job, successor, routed, is_fallback=is_fallback))

    def _priced_anew(self, run: Run) -> Turn:
        turn = run.turns[0]
        row, hold_usd = self._price(run.job, turn.candidate)
        return replace(turn, row=row, hold_usd=hold_usd)

    def _price(self, job: CompleteChat, candidate: Candidate) -> tuple[PriceRow, Decimal]:
        row = price_of(self._asking.prices, candidate, self._asking.clock.now())
        return row, worst_case_usd(row, job.input_tokens_bound, job.max_output_tokens)
