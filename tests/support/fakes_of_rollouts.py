"""Rollouts and their audit trail, in memory."""

from collections.abc import Sequence

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.rollout import Rollout
from shared.ports.clock import Clock
from shared.ports.gates import AuditEntry
from shared.ports.rollouts import RolloutChange
from tests.support.fakes_of_gates import ListedAudit


class MemoryRollouts:
    """Implements `RolloutRepository`."""

    def __init__(self, audit: ListedAudit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self.rollouts: dict[str, Rollout] = {}
        self.reads = 0
        self.is_away = False

    async def all(self) -> Sequence[Rollout]:
        return [self.rollouts[name] for name in sorted(self.rollouts)]

    async def get(self, name: str) -> Rollout | None:
        self.reads += 1
        if self.is_away:
            raise DatabaseUnavailableError("the database did not answer")
        return self.rollouts.get(name)

    async def begin(self, change: RolloutChange) -> Rollout:
        if change.name not in self.rollouts:
            self._put(change, None, "setting")
        return self.rollouts[change.name]

    async def change(self, change: RolloutChange) -> Rollout | None:
        before = self.rollouts.get(change.name)
        if before is not None and before.percent != change.percent:
            self._put(change, before, "person")
        return self.rollouts.get(change.name)

    def _put(self, change: RolloutChange, before: Rollout | None, actor: str) -> None:
        now = self._clock.now()
        entry = AuditEntry(
            id=len(self._audit.entries) + 1,
            kind="rollout",
            scope=change.name,
            queue=None,
            window=None,
            from_state=None if before is None else f"{before.percent.normalize():f}",
            to_state=f"{change.percent.normalize():f}",
            actor=actor,
            by=change.by,
            reason=change.reason,
            changed_at=now,
        )
        self._audit.entries.append(entry)
        generation = 1 if before is None else before.generation + 1
        self.rollouts[change.name] = Rollout(
            change.name, change.percent, generation, now, change.by, change.reason
        )
