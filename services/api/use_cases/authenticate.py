"""Who is asking: from an API key to a caller.

Invariant: secrets are compared as SHA-256 hashes — keys have 256 random bits, so that neither salt
nor slow hashing adds anything — and a revoked key stops working within the cache's age.
"""

import asyncio
import hmac
from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256

from services.api.use_cases.refusals import RefusalCode, RefusedError
from shared.domain.access import Caller
from shared.domain.catalog import Tier
from shared.domain.ids import KeyId, UserId
from shared.ports.access import KeyRepository
from shared.ports.clock import Clock

ADMIN_SCOPE = "admin"
JOBS_SCOPE = "jobs"
SECRET_PREFIX = "sk-slw-"  # noqa: S105 - a prefix, so that leaked keys can be searched for
_BEARER = "bearer "
_LONGEST_HEADER = 512
_ADMIN = Caller(UserId("admin"), KeyId("admin"), Tier.PREMIUM, frozenset({ADMIN_SCOPE, JOBS_SCOPE}))


class Authenticate:
    """Finds the caller behind an `Authorization` header; remembers answers for a moment."""

    def __init__(
        self,
        keys: KeyRepository,
        clock: Clock,
        *,
        admin_key: str,
        age: timedelta,
        remembered: int = 10_000,
    ) -> None:
        """Take the admin key, which needs no row.

        Args:
            keys: Where keys are looked up.
            clock: Ages what is remembered.
            admin_key: May do everything.
            age: How long an answer is remembered, unknown keys included.
            remembered: How many answers at most.
        """
        self._keys = keys
        self._clock = clock
        self._admin_hash = secret_hash(admin_key)
        self._age_seconds = age.total_seconds()
        self._remembered = remembered
        self._looking: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._found: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()

    async def caller(self, authorization: str | None, scope: str) -> Caller:
        """Return the caller if the key is known and has the scope.

        Raises:
            RefusedError: There is no key, nobody holds it, or it lacks the scope.
            DatabaseUnavailableError: The key could not be looked up.
        """
        caller = await self._lookup(_secret(authorization))
        if caller is None:
            raise RefusedError(
                RefusalCode.INVALID_API_KEY, "this API key is unknown, revoked or expired"
            )
        if scope not in caller.scopes:
            raise RefusedError(
                RefusalCode.INSUFFICIENT_SCOPE, f"this API key lacks the scope {scope!r}"
            )
        return caller

    async def _lookup(self, secret: str) -> Caller | None:
        hashed = secret_hash(secret)
        if hmac.compare_digest(hashed, self._admin_hash):
            return _ADMIN
        now = self._clock.monotonic()
        known = self._found.get(hashed)
        if known is not None and now - known[0] < self._age_seconds:
            return known[1]
        looking = self._looking.get(hashed)
        if looking is None:
            looking = self._looking[hashed] = asyncio.create_task(self._find(hashed))
            looking.add_done_callback(lambda _: self._looking.pop(hashed))
        # A caller that leaves must not take the answer from the others who wait for it.
        return await asyncio.shield(looking)

    async def _find(self, hashed: bytes) -> Caller | None:
        asked_at = self._clock.monotonic()
        caller = await self._keys.find(hashed)
        self._found[hashed] = (asked_at, caller)
        self._found.move_to_end(hashed)
        while len(self._found) > self._remembered:
            self._found.popitem(last=False)
        return caller


def secret_hash(secret: str) -> bytes:
    """Return what is stored and looked up instead of the secret."""
    return sha256(secret.encode()).digest()


def _secret(authorization: str | None) -> str:
    if authorization is None:
        raise RefusedError(
            RefusalCode.INVALID_API_KEY, "send an API key: `Authorization: Bearer sk-slw-…`"
        )
    if len(authorization) > _LONGEST_HEADER or authorization[:7].lower() != _BEARER:
        raise RefusedError(
            RefusalCode.INVALID_API_KEY, "the header must read `Authorization: Bearer sk-slw-…`"
        )
    return authorization[7:].strip()
