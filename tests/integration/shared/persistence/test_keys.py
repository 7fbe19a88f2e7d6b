from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.access import ApiKey, Caller
from shared.domain.catalog import Tier
from shared.domain.ids import KeyId, UserId
from shared.persistence.repositories.keys import PostgresKeys
from tests.support.chat_jobs import NOW, change, rows

_SECRET = b"\x00\xff" * 16
_LONG_AGO = NOW.replace(year=2020)


def _key(name: str = "key-1", user: str = "user-1", days: int | None = None) -> ApiKey:
    return ApiKey(
        id=KeyId(name),
        user_id=UserId(user),
        tier=Tier.PREMIUM,
        scopes=frozenset({"jobs", "admin"}),
        created_at=_LONG_AGO,
        expires_at=None if days is None else _LONG_AGO + timedelta(days=days),
        limits_json='{"requests_per_minute": 5}',
    )


async def test_a_key_is_found_by_its_hash(engine: AsyncEngine) -> None:
    keys = PostgresKeys(engine)
    await keys.create(_key(), _SECRET)
    assert await keys.find(_SECRET) == Caller(
        UserId("user-1"), KeyId("key-1"), Tier.PREMIUM, frozenset({"jobs", "admin"})
    )
    assert await keys.find(b"another") is None


async def test_a_user_may_have_several_keys(engine: AsyncEngine) -> None:
    keys = PostgresKeys(engine)
    first, second = _key("key-1"), _key("key-2")
    await keys.create(first, b"one")
    await keys.create(second, b"two")
    assert await keys.all() == [first, second]
    assert await rows(engine, "SELECT id, tier FROM users") == [("user-1", "premium")]


async def test_a_revoked_key_is_useless(engine: AsyncEngine) -> None:
    keys = PostgresKeys(engine)
    await keys.create(_key(), _SECRET)
    assert await keys.revoke(KeyId("key-1"))
    assert await keys.find(_SECRET) is None
    assert await keys.all() == []
    assert not await keys.revoke(KeyId("key-1"))


async def test_an_expired_key_is_useless(engine: AsyncEngine) -> None:
    keys = PostgresKeys(engine)
    await keys.create(_key(days=1), _SECRET)
    assert await keys.find(_SECRET) is None
    await change(engine, "UPDATE api_keys SET expires_at = now() + interval '1 hour'")
    assert await keys.find(_SECRET) is not None
