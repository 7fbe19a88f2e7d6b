"""What ops ask of gates, in paths."""

from enum import StrEnum

from shared.domain.gates import GateState


class GateVerb(StrEnum):
    """What ops ask of a gate."""

    PAUSE = "pause"
    RESUME = "resume"
    SLOW = "slow"
    CLOSE = "close"


STATE_BY_VERB: dict[GateVerb, GateState] = {
    GateVerb.PAUSE: GateState.PAUSED,
    GateVerb.RESUME: GateState.RUNNING,
    GateVerb.SLOW: GateState.SLOWED,
    GateVerb.CLOSE: GateState.CLOSED,
}
