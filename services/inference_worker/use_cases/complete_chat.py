"""Answers one chat job: a paid attempt per candidate until one answers or the job must wait.

A candidate whose circuit is open, or whose rate limit is reached, is passed over. Where nobody else
is left, the delivery is held for a while, so that a backlog stays in its queue; a provider that
stays away longer has its jobs come back when it may be asked again.
"""

from datetime import datetime
from typing import assert_never

from services.inference_worker.use_cases.asking import Asking
from services.inference_worker.use_cases.attempt import Ended, GoOn, RunAttempt
from services.inference_worker.use_cases.claims import Claims
from services.inference_worker.use_cases.hedging import RunHedged, may_be_hedged
from services.inference_worker.use_cases.settlements import Attempt
from services.inference_worker.use_cases.turns import Run
from shared.domain.claims import Divert, NoRoom
from shared.domain.errors import TransientError, UnknownModelError, UnknownPriceError
from shared.messages.commands import CompleteChat
from shared.ports.admission import LAST_PATIENCE, PATIENCE, Admitted, HeldUp


class CompleteChatJob:
    """Idempotent by job: a second delivery finds the job leased or done and changes nothing."""

    def __init__(self, asking: Asking, claims: Claims, run: RunAttempt) -> None:
        self._asking = asking
        self._admission = asking.admission
        self._claims = claims
        self._run = run
        self._run_hedged = RunHedged(asking, claims, run)

    async def __call__(self, job: CompleteChat) -> None:
        """Bring the job as far as it can be brought now.

        Raises:
            TransientError: Database or broker are away; the command must come back.
        """
        try:
            run = self._asking.begin(job)
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
            run.begin(self._asking.priced_anew(run, run.turns[0]))
        admitted = await self._admit(run)
        if isinstance(admitted, HeldUp):
            run.hold_up(admitted, self._asking.clock.now())
            return True
        return await self._goes_on_with(run, await self._claim(run, admitted))

    async def _admit(self, run: Run) -> Admitted | HeldUp:
        patience = PATIENCE if run.has_others else LAST_PATIENCE
        return await self._asking.admit(run, run.turns[0], patience)

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
        if run.hedge is not None and may_be_hedged(run, attempt):
            end = await self._run_hedged(run, attempt, run.hedge.after)
        else:
            end = await self._run(attempt, goes_on_after=run.goes_on_after)
        match end:
            case Ended():
                return False
            case GoOn():
                is_gone = self._admission.is_retired(run.turns[0].candidate)
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
