"""Shows gates of scopes and moves them: one tenant's work is held up while others' goes on."""

from services.api.schemas.gates import ScopeGateList, scope_gate_body
from services.api.schemas.requests import ScopeGateBody
from services.api.use_cases.refusals import invalid
from services.api.use_cases.scopes import ReadScope
from shared.domain.access import Caller
from shared.domain.budgets import GLOBAL_SCOPE
from shared.domain.gates import WORK_QUEUES, GateActor, GateState
from shared.domain.ids import QueueName
from shared.ports.clock import Clock
from shared.ports.gates import ScopeChange, ScopeGateRepository

_SLOW_CONCURRENCY = 1


class AdminScopes:
    """Gates of scopes; workers read them with every claim, so that nobody needs a hint."""

    def __init__(self, gates: ScopeGateRepository, clock: Clock, read_scope: ReadScope) -> None:
        self._gates = gates
        self._clock = clock
        self._read_scope = read_scope

    async def all(self) -> ScopeGateList:
        """Return every gate that holds something up or diverts it."""
        return ScopeGateList(data=[scope_gate_body(gate) for gate in await self._gates.all()])

    async def move(
        self, caller: Caller, scope: str, desired: GateState, request: ScopeGateBody
    ) -> ScopeGateList:
        """Move a scope's gates and return them.

        Raises:
            RefusedError: The scope is none or `global`, or `until` has passed.
        """
        read = self._read_scope(scope)
        if read == GLOBAL_SCOPE:
            raise invalid("scope", "gates of all work are those of queues: /v1/admin/queues")
        if request.until is not None and request.until <= self._clock.now():
            raise invalid("until", "until lies in the past")
        slowed = desired is GateState.SLOWED
        gates = await self._gates.change(
            ScopeChange(
                scope=read,
                queues=_queues(request),
                desired=desired,
                reason=request.reason,
                actor=GateActor.PERSON,
                by=caller.key_id,
                until=request.until,
                concurrency=(request.concurrency or _SLOW_CONCURRENCY) if slowed else None,
            )
        )
        return ScopeGateList(data=[scope_gate_body(gate) for gate in gates])


def _queues(request: ScopeGateBody) -> tuple[QueueName, ...]:
    if request.queues is None:
        return WORK_QUEUES
    return tuple(dict.fromkeys(QueueName(queue) for queue in request.queues))
