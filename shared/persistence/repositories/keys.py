"""API keys, stored as hashes."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.access import ApiKey, Caller
from shared.domain.catalog import Tier
from shared.domain.ids import KeyId, UserId
from shared.persistence.connections import statement, transaction
from shared.persistence.direct import DirectConnection, HotStatement

_USER = text("""
    INSERT INTO users (id, tier, created_at) VALUES (:user_id, :tier, :created_at)
    ON CONFLICT (id) DO NOTHING
""")
_CREATE = text("""
    INSERT INTO api_keys (id, user_id, tier, secret_hash, scopes, limits, created_at, expires_at)
    VALUES (:id, :user_id, :tier, :secret_hash, :scopes, CAST(:limits AS jsonb), :created_at,
        :expires_at)
""")
_FIND = HotStatement.of("""
    SELECT id, user_id, tier, scopes FROM api_keys
    WHERE secret_hash = :secret_hash AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > now())
""")
_ALL = text("""
    SELECT id, user_id, tier, scopes, CAST(limits AS text) AS limits, created_at, expires_at
    FROM api_keys WHERE revoked_at IS NULL ORDER BY created_at, id
""")
_REVOKE = text("""
    UPDATE api_keys SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL RETURNING id
""")


class PostgresKeys:
    """Implements `KeyRepository`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._direct = DirectConnection(engine)

    async def create(self, key: ApiKey, secret_hash: bytes) -> None:
        """Store a key; its user comes into being with the first one."""
        values = {
            "id": key.id,
            "user_id": key.user_id,
            "tier": key.tier.value,
            "secret_hash": secret_hash,
            "scopes": sorted(key.scopes),
            "limits": key.limits_json,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
        }
        async with transaction(self._engine) as connection:
            await connection.execute(_USER, values)
            await connection.execute(_CREATE, values)

    async def find(self, secret_hash: bytes) -> Caller | None:
        """Return who holds this key; None when unknown, revoked or expired."""
        rows = await self._direct.execute(_FIND, {"secret_hash": secret_hash})
        for row in rows:
            return Caller(
                UserId(row["user_id"]),
                KeyId(row["id"]),
                Tier(row["tier"]),
                frozenset(row["scopes"]),
            )
        return None

    async def all(self) -> Sequence[ApiKey]:
        """Return every key that is not revoked, oldest first."""
        async with statement(self._engine) as connection:
            return [_key(row) for row in (await connection.execute(_ALL)).mappings()]

    async def revoke(self, key_id: KeyId) -> bool:
        """Make a key useless at once; False when there is no such key."""
        async with statement(self._engine) as connection:
            return (await connection.execute(_REVOKE, {"id": key_id})).one_or_none() is not None


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=KeyId(row["id"]),
        user_id=UserId(row["user_id"]),
        tier=Tier(row["tier"]),
        scopes=frozenset(row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        limits_json=row["limits"],
    )
