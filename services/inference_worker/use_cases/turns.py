"""Whose turn it is to answer a job, with the price of each candidate's call."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from shared.domain.circuits import CircuitClass
from shared.domain.claims import NoRoom, PassedOver
from shared.domain.errors import ProviderFailure
from shared.domain.pricing import PriceRow
from shared.domain.rollout import Arm
from shared.domain.routes import Candidate, Hedge
from shared.messages.commands import CompleteChat
from shared.ports.admission import HeldUp


@dataclass(frozen=True, slots=True)
class Turn:
    """A candidate's turn, with the price of its call.

    Attributes:
        successor: Who takes the turn when the candidate's model is gone.
        takes_diverted: Whether it is asked first when a budget wants the cheaper route.
    """

    candidate: Candidate
    row: PriceRow
    hold_usd: Decimal
    is_fallback: bool
    successor: "Turn | None" = None
    takes_diverted: bool = False


@dataclass(slots=True)
class Run:
    """One delivery's work on a job.

    Attributes:
        turns: Who is left; the first is asked next.
        arm: The side of the rollout that the job was routed by.
        hedge: When another candidate is asked beside the first; None for never.
        failures: How many of the job's attempts have failed; 0 while none was made in this run.
        is_ours: Whether this worker holds the job.
        is_diverted: Whether the cheaper candidates come first.
        restart_reason: Why the client's text starts again; None when it has seen none.
        no_room: Why the last skipped candidate could not be called.
        held_up: Who has to be asked later, and why.
        passed_over: The same, for the job's list of attempts.
        hold_usd: The room that the candidate needs who was asked last.
    """

    job: CompleteChat
    turns: Sequence[Turn]
    arm: Arm
    hedge: Hedge | None = None
    failures: int = 0
    is_ours: bool = False
    is_diverted: bool = False
    restart_reason: str | None = None
    no_room: NoRoom | None = None
    held_up: list[tuple[Turn, HeldUp]] = field(default_factory=list[tuple[Turn, HeldUp]])
    passed_over: list[PassedOver] = field(default_factory=list[PassedOver])
    hold_usd: Decimal = field(init=False)

    def __post_init__(self) -> None:
        self.hold_usd = self.turns[0].hold_usd

    @property
    def has_others(self) -> bool:
        """Tell whether somebody else may be asked than whose turn it is."""
        return bool(self.held_up) or len(self.turns) > 1

    @property
    def others_beside(self) -> Sequence[Turn]:
        """Return the turns of those who may be asked beside whose turn it is."""
        asked = self.turns[0].candidate
        return [turn for turn in self.turns[1:] if turn.candidate != asked]

    def goes_on_after(self, failure: ProviderFailure) -> bool:
        """Tell whether somebody may be asked once the call under way has failed so."""
        is_gone = failure.trip is not None and failure.trip.circuit is CircuitClass.RETIRED
        return self.has_others or (is_gone and self.turns[0].successor is not None)

    def begin(self, turn: Turn) -> None:
        """Let the next candidate's call cost what it costs now."""
        self.turns = [turn, *self.turns[1:]]
        self.hold_usd = turn.hold_usd

    def go_on(self, failures: int, restart_reason: str | None, *, is_gone: bool = False) -> None:
        """Take the next candidate after a failed attempt: the successor of a model that is gone."""
        if not (is_gone and self.succeed()):
            self._pass_on()
        self.failures, self.is_ours, self.restart_reason = failures, True, restart_reason
        self.passed_over.clear()

    def succeed(self) -> bool:
        """Give the turn to the successor of a candidate whose model is gone, if it has one."""
        successor = self.turns[0].successor
        if successor is None:
            return False
        self.begin(successor)
        return True

    def ask_beside(self, turn: Turn, asked: Turn) -> None:
        """Take down who is asked in a turn, beside whose turn it is."""
        self.turns = [asked if one is turn else one for one in self.turns]

    def hang_on(self, turn: Turn, failed: Turn | None, *, is_gone: bool = False) -> None:
        """Let the job hang on one of two calls; who only was slower may be asked again.

        Args:
            turn: Of the call that goes on.
            failed: Of the other one, if it has failed.
            is_gone: Whether that one's model is gone, so that its successor is asked.
        """
        others = [one for one in self.turns if one is not turn and one is not failed]
        if failed is not None and is_gone and failed.successor is not None:
            others.insert(0, failed.successor)
        self.turns = [turn, *others]
        self.hold_usd = turn.hold_usd

    def skip(self, no_room: NoRoom) -> None:
        """Pass over a candidate whose provider may not be called."""
        self._pass_on()
        self.no_room = no_room

    def hold_up(self, held_up: HeldUp, now: datetime) -> None:
        """Pass over a candidate that is let alone for now."""
        turn = self.turns[0]
        provider, model = turn.candidate.provider, turn.candidate.model
        self.held_up.append((turn, held_up))
        if all((one.provider, one.model) != (provider, model) for one in self.passed_over):
            self.passed_over.append(PassedOver(provider, model, held_up.code, now))
        self._pass_on()

    def look_again(self) -> None:
        """Ask those again who were let alone."""
        self.turns = [turn for turn, _ in self.held_up]
        self.hold_usd = self.turns[0].hold_usd
        self.held_up.clear()

    def divert(self) -> None:
        """Ask the routing table's choice first, then by the most that calls can cost."""
        ordered = sorted(self.turns, key=lambda turn: (not turn.takes_diverted, turn.hold_usd))
        self.turns = [
            replace(turn, is_fallback=self.is_ours or position > 0)
            for position, turn in enumerate(ordered)
        ]
        self.hold_usd = self.turns[0].hold_usd
        self.is_diverted = True

    def _pass_on(self) -> None:
        self.turns = self.turns[1:]
        if self.turns:
            self.hold_usd = self.turns[0].hold_usd
