"""Every exchange, queue, binding and policy, named once.

The tables below are the whole topology; `declaration` puts them on a broker and services only look
them up. Immutable properties are queue arguments, everything tunable is a policy, because changing
an argument means deleting the queue. Valid on RabbitMQ 3.10 and 4.x.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from shared.domain.gates import WORK_QUEUES
from shared.domain.ids import QueueName
from shared.domain.retry import RUNGS, Rung

JOBS = "jobs"
"""Commands for workers, by queue name."""
EVENTS = "events"
"""Facts that happened, such as `usage.recorded`."""
STREAM = "stream"
"""Tokens and results on their way to the replica that holds the client, by `job.<lane>.<id>`."""
CONTROL = "control"
"""Hints that a gate has moved."""
DEAD_LETTERS = "dlx"
"""What nobody could handle, under the key it came with.

The retry ladder's exchanges are named by `shared.domain.retry`.
"""

USAGE_LEDGER = QueueName("usage.ledger")
DEAD_CHAT = QueueName("dead.chat")
DEAD_EMBED = QueueName("dead.embed")
DEAD_USAGE = QueueName("dead.usage")

Argument = str | int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: Literal["topic", "fanout"] = "topic"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and the arguments that cannot change in its life."""

    name: QueueName
    arguments: Mapping[str, Argument]
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """What an exchange hands to a queue."""

    exchange: str
    queue: QueueName
    routing_key: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Tunable properties of every queue whose name matches the pattern.

    Attributes:
        name: Unique on the broker.
        pattern: A regular expression over queue names.
        definition: Keys that every supported version knows.
        definition_since_3_12: Keys that an older broker refuses, and the whole policy with them.
    """

    name: str
    pattern: str
    definition: Mapping[str, Argument]
    definition_since_3_12: Mapping[str, Argument] = field(default_factory=dict[str, Argument])

    def definition_for(self, version: tuple[int, int]) -> dict[str, Argument]:
        """Return the keys that a broker of this (major, minor) version accepts."""
        if version < (3, 12):
            return dict(self.definition)
        return {**self.definition, **self.definition_since_3_12}


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _quorum(name: QueueName) -> Queue:
    return Queue(name, {"x-queue-type": "quorum"})


def _waiting_room(rung: Rung) -> Queue:
    # One delay per queue, since a message's own TTL would wait behind longer ones. No
    # x-dead-letter-routing-key, so that the message returns to `jobs` under the key it came with.
    return Queue(
        QueueName(rung.exchange),
        {
            "x-queue-type": "quorum",
            "x-message-ttl": _milliseconds(rung.delay),
            "x-dead-letter-exchange": JOBS,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )


def results_queue(boot_id: str) -> Queue:
    """Return the queue of one API replica: it outlives its connection by a minute."""
    return Queue(
        QueueName(f"results.api.{boot_id}"),
        {
            "x-queue-type": "classic",
            "x-expires": _milliseconds(timedelta(minutes=1)),
            "x-message-ttl": _milliseconds(timedelta(seconds=30)),
            "x-max-length": 20_000,
        },
    )


def control_queue(boot_id: str) -> Queue:
    """Return the queue on which one worker process hears hints; it goes with the connection."""
    return Queue(
        QueueName(f"control.{boot_id}"),
        {"x-queue-type": "classic"},
        durable=False,
        exclusive=True,
        auto_delete=True,
    )


EXCHANGES = (
    Exchange(JOBS),
    Exchange(EVENTS),
    Exchange(STREAM),
    Exchange(DEAD_LETTERS),
    Exchange(CONTROL, "fanout"),
    *(Exchange(rung.exchange, "fanout") for rung in RUNGS),
)

QUEUES = (
    *(_quorum(name) for name in WORK_QUEUES),
    *(_quorum(name) for name in (USAGE_LEDGER, DEAD_CHAT, DEAD_EMBED, DEAD_USAGE)),
    *(_waiting_room(rung) for rung in RUNGS),
)

BINDINGS = (
    *(Binding(JOBS, name, name) for name in WORK_QUEUES),
    *(Binding(rung.exchange, QueueName(rung.exchange)) for rung in RUNGS),
    Binding(EVENTS, USAGE_LEDGER, "usage.#"),
    # The ladder returns everything to `jobs`; without this a delayed usage event had no way back.
    Binding(JOBS, USAGE_LEDGER, "usage.#"),
    Binding(DEAD_LETTERS, DEAD_CHAT, "chat.#"),
    Binding(DEAD_LETTERS, DEAD_EMBED, "embed.#"),
    Binding(DEAD_LETTERS, DEAD_USAGE, "usage.#"),
)

# At-least-once dead-lettering silently becomes at-most-once without reject-publish
# (RabbitMQ documentation, quorum queues, 2026-08).
_SAFE_DEAD_LETTERING: Mapping[str, Argument] = {
    "dead-letter-exchange": DEAD_LETTERS,
    "dead-letter-strategy": "at-least-once",
    "overflow": "reject-publish",
}
_CONSUMER_TIMEOUT = {"consumer-timeout": _milliseconds(timedelta(hours=1))}
# A crashing worker adds a delivery to everything it had prefetched, so that the limit stays above
# what innocent messages collect.
_WORK: Mapping[str, Argument] = {
    **_SAFE_DEAD_LETTERING,
    "max-length-bytes": 200_000_000,
    "delivery-limit": 10,
}

POLICIES = (
    Policy("work", r"^chat\.", {**_WORK, "max-length": 20_000}, _CONSUMER_TIMEOUT),
    Policy("work-embed", r"^embed\.", {**_WORK, "max-length": 50_000}, _CONSUMER_TIMEOUT),
    # Money has no length limit: a usage event must never be refused.
    Policy("money", r"^usage\.", {**_SAFE_DEAD_LETTERING, "delivery-limit": 20}),
    Policy("dead", r"^dead\.", {"max-length": 100_000, "overflow": "reject-publish"}),
)
