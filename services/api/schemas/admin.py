"""Keys and queues as ops see them."""

from datetime import datetime

import orjson
from pydantic import BaseModel, JsonValue

from shared.domain.access import ApiKey


class KeyView(BaseModel):
    """A key without its secret."""

    id: str
    user_id: str
    tier: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    limits: JsonValue


class IssuedKey(KeyView):
    """A key with its secret, which is shown only here."""

    key: str


class KeyList(BaseModel):
    """Every key that works."""

    data: list[KeyView]


class QueueBody(BaseModel):
    """A queue: what is wanted of it, what workers do, and what waits in it.

    Attributes:
        actual: `running`, `pausing`, `paused`, or `no_workers`.
        ready: Messages that wait; null when the broker does not answer.
        unacked: Messages that workers hold.
    """

    name: str
    desired: str
    actual: str
    generation: int
    reason: str
    actor: str
    until: datetime | None
    concurrency: int | None
    ready: int | None
    unacked: int
    consumers: int | None
    oldest_age_seconds: float | None
    in_flight: int


class QueueList(BaseModel):
    """Every work queue."""

    data: list[QueueBody]


def key_view(key: ApiKey) -> KeyView:
    """Return a key's body."""
    return KeyView(
        id=key.id,
        user_id=key.user_id,
        tier=key.tier,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        limits=None if key.limits_json is None else orjson.loads(key.limits_json),
    )
