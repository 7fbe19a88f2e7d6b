"""Who is asking, and the keys by which we know."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.catalog import Tier
from shared.domain.ids import KeyId, UserId


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is behind an API key."""

    user_id: UserId
    key_id: KeyId
    tier: Tier
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; `limits_json` overrides the tier's request limits."""

    id: KeyId
    user_id: UserId
    tier: Tier
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    limits_json: str | None
