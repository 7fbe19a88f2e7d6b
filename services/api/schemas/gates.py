"""Gates of scopes, and the audit trail, as ops see them."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.domain.gates import ScopeGate
from shared.ports.gates import AuditEntry


class ScopeGateView(BaseModel):
    """What is wanted of one scope's work in one queue.

    Attributes:
        concurrency: With `slowed`, how many calls may run at a time, over all workers.
        diverts_until: Until when the work takes the cheaper route.
    """

    scope: str
    queue: str
    desired: str
    generation: int
    reason: str
    actor: str
    until: datetime | None
    concurrency: int | None
    diverts_until: datetime | None


class ScopeGateList(BaseModel):
    """Gates of scopes."""

    data: list[ScopeGateView]


class AuditView(BaseModel):
    """One change: who, why, when, and from what.

    Attributes:
        kind: `gate`, `budget` or `rollout`.
        scope: Whose gate or budget it is, or the rollout's name.
        queue: The gate's.
        window: The budget's.
        before: A gate's state, a budget or a percentage; null where there was none.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    id: int
    kind: str
    scope: str
    queue: str | None
    window: str | None
    before: JsonValue = Field(serialization_alias="from")
    after: JsonValue = Field(serialization_alias="to")
    actor: str
    by: str
    reason: str
    changed_at: datetime


class AuditPage(BaseModel):
    """Changes, oldest first; `next` is the `after` of the next page."""

    data: list[AuditView]
    has_more: bool
    next: int | None


def scope_gate_body(gate: ScopeGate) -> ScopeGateView:
    """Return a gate's body."""
    return ScopeGateView(
        scope=gate.scope,
        queue=gate.queue,
        desired=gate.desired,
        generation=gate.generation,
        reason=gate.reason,
        actor=gate.actor,
        until=gate.until,
        concurrency=gate.concurrency,
        diverts_until=gate.diverts_until,
    )


def audit_page(entries: Sequence[AuditEntry], limit: int) -> AuditPage:
    """Return a page of at most `limit` changes; one entry more tells that there is a next page."""
    shown = [_audit_view(entry) for entry in entries[:limit]]
    has_more = len(entries) > limit
    return AuditPage(data=shown, has_more=has_more, next=shown[-1].id if has_more else None)


def _audit_view(entry: AuditEntry) -> AuditView:
    is_state = entry.kind == "gate"
    return AuditView(
        id=entry.id,
        kind=entry.kind,
        scope=entry.scope,
        queue=entry.queue,
        window=entry.window,
        before=entry.from_state if is_state else _parsed(entry.from_state),
        after=entry.to_state if is_state else _parsed(entry.to_state),
        actor=entry.actor,
        by=entry.by,
        reason=entry.reason,
        changed_at=entry.changed_at,
    )


def _parsed(state: str | None) -> JsonValue:
    if state is None:
        return None
    parsed: JsonValue = orjson.loads(state)
    return parsed
