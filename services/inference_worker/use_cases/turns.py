"""Whose turn it is to answer a job, with the price of each candidate's call."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from shared.domain.pricing import PriceRow
from shared.domain.rollout import Arm
from shared.domain.routing import Candidate
from shared.domain.work import NoRoom
from shared.messages.commands import CompleteChat


@dataclass(frozen=True, slots=True)
class Turn:
    """A candidate's turn, with the price of its call."""

    candidate: Candidate
    row: PriceRow
    hold_usd: Decimal
    is_fallback: bool


@dataclass(slots=True)
class Run:
    """One delivery's work on a job.

    Attributes:
        turns: Who is left; the first is asked next.
        arm: The side of the rollout that the job was routed by.
        failures: How many of the job's attempts have failed; 0 while none was made in this run.
        is_ours: Whether this worker holds the job.
        is_diverted: Whether the cheaper candidates come first.
        restart_reason: Why the client's text starts again; None when it has seen none.
        no_room: Why the last skipped candidate could not be called.
        hold_usd: The room that the candidate needs who was asked last.
    """

    job: CompleteChat
    turns: Sequence[Turn]
    arm: Arm
    failures: int = 0
    is_ours: bool = False
    is_diverted: bool = False
    restart_reason: str | None = None
    no_room: NoRoom | None = None
    hold_usd: Decimal = field(init=False)

    def __post_init__(self) -> None:
        self.hold_usd = self.turns[0].hold_usd

    def begin(self, turn: Turn) -> None:
        """Let the next candidate's call cost what it costs now."""
        self.turns = [turn, *self.turns[1:]]
        self.hold_usd = turn.hold_usd

    def go_on(self, failures: int, restart_reason: str | None) -> None:
        """Take the next candidate after a failed attempt."""
        self._next()
        self.failures, self.is_ours, self.restart_reason = failures, True, restart_reason

    def skip(self, no_room: NoRoom) -> None:
        """Pass over a candidate whose provider may not be called."""
        self._next()
        self.no_room = no_room

    def divert(self) -> None:
        """Ask the cheapest candidates first, by the most that their calls can cost."""
        ordered = sorted(self.turns, key=lambda turn: turn.hold_usd)
        self.turns = [
            replace(turn, is_fallback=self.is_ours or position > 0)
            for position, turn in enumerate(ordered)
        ]
        self.hold_usd = self.turns[0].hold_usd
        self.is_diverted = True

    def _next(self) -> None:
        self.turns = self.turns[1:]
        if self.turns:
            self.hold_usd = self.turns[0].hold_usd
