"""Shows queues to ops and moves their gates; workers are told by a hint after the commit."""

from collections.abc import Mapping

from services.api.schemas.admin import QueueBody, QueueList
from services.api.schemas.requests import GateBody
from services.api.use_cases.refusals import invalid, not_found
from shared.domain.access import Caller
from shared.domain.errors import BrokerUnavailableError
from shared.domain.gates import WORK_QUEUES, GateActor, GateState
from shared.domain.ids import QueueName
from shared.ports.clock import Clock
from shared.ports.gates import GateAdministration, GateChange, QueueOverview
from shared.ports.messaging import ControlHint, QueueDepth, QueueDepths

_SLOW_CONCURRENCY = 1


class AdminQueues:
    """Queues and their gates."""

    def __init__(
        self, gates: GateAdministration, depths: QueueDepths, hint: ControlHint, clock: Clock
    ) -> None:
        self._gates = gates
        self._depths = depths
        self._hint = hint
        self._clock = clock

    async def overview(self) -> QueueList:
        """Return every work queue; the broker's counts are null while it doesn't answer."""
        depths = await self._live_depths()
        return QueueList(
            data=[
                self._body(one, depths.get(one.gate.queue)) for one in await self._gates.overview()
            ]
        )

    async def move(
        self, caller: Caller, name: str, desired: GateState, request: GateBody
    ) -> QueueBody:
        """Move a gate and return the queue as it is then.

        Raises:
            RefusedError: There is no such queue, or `until` has passed.
        """
        queue = QueueName(name)
        if queue not in WORK_QUEUES:
            raise not_found("queue", name)
        if request.until is not None and request.until <= self._clock.now():
            raise invalid("until", "until lies in the past")
        slowed = desired is GateState.SLOWED
        await self._gates.change(
            GateChange(
                queue=queue,
                desired=desired,
                reason=request.reason,
                actor=GateActor.PERSON,
                by=caller.key_id,
                until=request.until,
                concurrency=(request.concurrency or _SLOW_CONCURRENCY) if slowed else None,
            )
        )
        await self._hint.send()
        return next(one for one in (await self.overview()).data if one.name == queue)

    async def _live_depths(self) -> Mapping[QueueName, QueueDepth]:
        try:
            return await self._depths.depths(WORK_QUEUES)
        except BrokerUnavailableError:
            return {}

    def _body(self, overview: QueueOverview, depth: QueueDepth | None) -> QueueBody:
        gate = overview.gate
        in_flight = sum(worker.actual.in_flight for worker in overview.workers)
        return QueueBody(
            name=gate.queue,
            desired=gate.desired,
            actual=actual_state(overview),
            generation=gate.generation,
            reason=gate.reason,
            actor=gate.actor,
            until=gate.until,
            concurrency=gate.concurrency,
            ready=None if depth is None else depth.ready,
            unacked=in_flight,
            consumers=None if depth is None else depth.consumers,
            oldest_age_seconds=self._age_seconds(overview),
            in_flight=in_flight,
        )

    def _age_seconds(self, overview: QueueOverview) -> float | None:
        if overview.oldest_queued_at is None:
            return None
        return max(0.0, (self._clock.now() - overview.oldest_queued_at).total_seconds())


def actual_state(overview: QueueOverview) -> str:
    """Return what the workers do together: the least settled of them decides."""
    if not overview.workers:
        return "no_workers"
    states = {worker.actual.actual for worker in overview.workers}
    behind = any(worker.actual.generation < overview.gate.generation for worker in overview.workers)
    if "pausing" in states or (behind and not overview.gate.lets_work_start):
        return "pausing"
    return "paused" if states == {"paused"} else "running"
