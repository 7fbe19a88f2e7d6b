"""Who may answer: a candidate is a provider's model, a route is candidates in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from shared.domain.catalog import Provider
from shared.domain.provider_calls import OptionValue
from shared.domain.rollout import Arm


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model that may answer.

    Attributes:
        provider: Whose model.
        model: The provider's model name.
        options: Extra request fields that go with the model (`reasoning_effort`).
    """

    provider: Provider
    model: str
    options: Mapping[str, OptionValue] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Hedge:
    """A second request to the next candidate while the first one has not begun to answer.

    Attributes:
        after: How long the first one is waited for.
        daily_cap_usd: What second requests may cost a UTC day, over all workers.
    """

    after: timedelta
    daily_cap_usd: Decimal


@dataclass(frozen=True, slots=True)
class Server:
    """A server with OpenAI's API that is a provider of its own.

    Attributes:
        max_tokens_field: What it calls the limit on an answer's tokens. All but OpenAI take
            `max_tokens`; some pass over the newer name without a word, and answer without limit.
    """

    base_url: str
    max_tokens_field: str = "max_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who answers one operation of one tier.

    Attributes:
        inside_rollout: Candidates in order, for users inside the rollout.
        outside_rollout: Candidates in order, for the others.
        on_request: Candidates that answer only when a caller asks for their model.
        divert: Who is asked first while a budget asks for the cheaper route; None for whoever
            costs least.
        hedge: When a second candidate is asked beside the first; None for never.
    """

    inside_rollout: tuple[Candidate, ...]
    outside_rollout: tuple[Candidate, ...]
    on_request: tuple[Candidate, ...] = ()
    divert: Candidate | None = None
    hedge: Hedge | None = None

    @property
    def every_candidate(self) -> tuple[Candidate, ...]:
        """Return each candidate once: also the models that a caller may ask for."""
        diverted = () if self.divert is None else (self.divert,)
        return tuple(
            dict.fromkeys(self.inside_rollout + self.outside_rollout + self.on_request + diverted)
        )


@dataclass(frozen=True, slots=True)
class Routed:
    """Who may answer a job, in order.

    Attributes:
        candidates: At least one.
        arm: The arm of the rollout that decided it.
        successors: Who takes over from a candidate whose model is gone.
        divert: Who is asked first when a budget wants the cheaper route; None for the cheapest.
        hedge: When another candidate is asked beside the first; None for never.
    """

    candidates: Sequence[Candidate]
    arm: Arm
    successors: Mapping[Candidate, Candidate] = field(default_factory=dict[Candidate, Candidate])
    divert: Candidate | None = None
    hedge: Hedge | None = None
