"""Everything that can go wrong, as one tree; adapters translate into it, use cases decide by it.

    SluicewayError
    ├── TransientError                 trying again later may help
    │   ├── BrokerUnavailableError     the broker did not confirm in time
    │   ├── DatabaseUnavailableError   the database did not answer
    │   ├── AlertNotDeliveredError     a channel did not take an alert
    │   └── ProviderTransientError     a provider failed; another try or provider may do
    └── PermanentError                 trying again changes nothing
        ├── UnroutableError            no queue is bound for a message: a topology bug
        ├── QueueFullError             the broker refused a message: the queue is at its limit
        ├── TopologyError              the broker refused an exchange, queue or policy
        ├── UnknownPriceError          no price row: the call is refused, never $0
        ├── UnknownModelError          the routing table names no such model
        ├── PriceBookError             the price files contradict each other
        ├── InvoiceError               a provider's invoice cannot be read
        ├── RoutingTableError          the routing table is wrong
        ├── TextTooLongError           one text is longer than the model takes
        └── ProviderPermanentError     a provider refused the request for good

Both provider errors carry a `ProviderFailure`: what the provider said and what to do about it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.circuits import Trip
from shared.domain.jobs import Waiting, WaitingReason
from shared.domain.usage import NO_USAGE, TokenUsage


class SluicewayError(Exception):
    """Something Sluiceway knows how to handle."""


class TransientError(SluicewayError):
    """Trying again later may help."""


class PermanentError(SluicewayError):
    """Trying again changes nothing."""


class BrokerUnavailableError(TransientError):
    """The broker did not confirm a publish within its deadline."""


class DatabaseUnavailableError(TransientError):
    """The database did not answer."""


class AlertNotDeliveredError(TransientError):
    """A channel did not take an alert; the message names the channel and tells no secret."""


class UnroutableError(PermanentError):
    """No queue is bound for this exchange and routing key."""


class QueueFullError(PermanentError):
    """The queue is at its limit and the broker refused the message."""


class TopologyError(PermanentError):
    """The broker refused a part of the topology; the message names it."""


class UnknownPriceError(PermanentError):
    """No price row is in force for this provider, model and time."""


class UnknownModelError(PermanentError):
    """The routing table names no such model."""


class PriceBookError(PermanentError):
    """The price files are incomplete or contradict each other."""


class InvoiceError(PermanentError):
    """A provider's invoice cannot be read; the message names the line."""


class RoutingTableError(PermanentError):
    """The routing table is wrong; the message names the place."""


class TextTooLongError(PermanentError):
    """One text is longer than the model takes."""


class FailureAction(StrEnum):
    """What a provider's failure asks for."""

    RETRY_HERE = "retry_here"
    """A short back-off, then the same candidate may answer."""
    BACK_OFF = "back_off"
    """This candidate is over its rate until `retry_after`; fall back meanwhile."""
    FALL_BACK = "fall_back"
    """This candidate cannot answer; the next one may."""
    STOP_UNTIL_MIDNIGHT = "stop_until_midnight"
    """The free allocation is used up until 00:00 UTC; fall back meanwhile."""
    SPLIT = "split"
    """The batch was too large; halve it and try again."""
    FAIL = "fail"
    """The request itself is wrong; no provider will take it."""


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """What a provider said when it failed.

    Attributes:
        code: The provider's own code (`3040`, `rate_limit_exceeded`) or ours (`stream_cut`).
        message: A sentence without prompt text or secrets.
        action: What to do.
        retry_after: How long the provider asked to wait, if it said.
        usage: What was consumed before the failure; it is billed.
        provider_request_id: The id to quote to the provider's support.
        trip: Which circuit it concerns; None when it says nothing about the provider.
        is_known: Whether it is listed; one that is not is counted, and falls back once.
    """

    code: str
    message: str
    action: FailureAction
    retry_after: timedelta | None = None
    usage: TokenUsage = NO_USAGE
    provider_request_id: str | None = None
    trip: Trip | None = None
    is_known: bool = True

    @property
    def weight(self) -> int:
        """Return by how much it brings its job nearer to the end.

        Not at all when the provider took no call, which is no fault of the job's, and unpaid.
        """
        return 0 if self.trip is not None and self.trip.takes_no_calls else 1

    def waiting(self, until: datetime) -> Waiting:
        """Return what the owner of a job is told that waits for the provider."""
        return Waiting(WaitingReason.PROVIDER_COOLDOWN, until, self.message)


class ProviderTransientError(TransientError):
    """A provider failed; another try, later or elsewhere, may succeed."""

    def __init__(self, failure: ProviderFailure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure


class ProviderPermanentError(PermanentError):
    """A provider refused the request for good."""

    def __init__(self, failure: ProviderFailure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure
