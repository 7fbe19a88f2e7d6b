"""Who may answer a job, in which order and at which price."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from services.inference_worker.use_cases.turns import Run, Turn
from shared.domain.pricing import PriceBook, PriceRow, worst_case_usd
from shared.domain.routes import Candidate, Routed
from shared.domain.routing import price_of
from shared.messages.commands import CompleteChat
from shared.ports.admission import Admission, Admitted, HeldUp
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

    def begin(self, job: CompleteChat) -> Run:
        """Return a job's run, in which every candidate has its turn.

        Raises:
            UnknownModelError: The job asks for a model that its tier is not offered.
            UnknownPriceError: Nothing says what a candidate's call costs.
            TransientError: It is not known yet who is inside the rollout.
        """
        routed = self.route(job)
        turns = [
            self._turn(job, candidate, routed, is_fallback=position > 0)
            for position, candidate in enumerate(routed.candidates)
        ]
        return Run(job, turns, routed.arm, routed.hedge)

    async def admit(self, run: Run, turn: Turn, patience: timedelta) -> Admitted | HeldUp:
        """Let a turn's call through, waiting at most `patience`.

        Raises:
            DatabaseUnavailableError: Nobody knows whether it may be made.
        """
        tokens = run.job.input_tokens_bound + run.job.max_output_tokens
        return await self.admission.admit(turn.candidate, tokens, patience)

    def priced_anew(self, run: Run, turn: Turn) -> Turn:
        """Return a turn as its call is priced now.

        Raises:
            UnknownPriceError: Nothing says what it costs.
        """
        row, hold_usd = self._price(run.job, turn.candidate)
        return replace(turn, row=row, hold_usd=hold_usd)

    def _turn(
        self, job: CompleteChat, candidate: Candidate, routed: Routed, *, is_fallback: bool
    ) -> Turn:
        row, hold_usd = self._price(job, candidate)
        turn = Turn(candidate, row, hold_usd, is_fallback, None, candidate == routed.divert)
        successor = routed.successors.get(candidate)
        if successor is None:
            return turn
        return replace(turn, successor=self._turn(job, successor, routed, is_fallback=is_fallback))

    def _price(self, job: CompleteChat, candidate: Candidate) -> tuple[PriceRow, Decimal]:
        row = price_of(self.prices, candidate, self.clock.now())
        return row, worst_case_usd(row, job.input_tokens_bound, job.max_output_tokens)
