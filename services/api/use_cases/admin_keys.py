"""Issues and revokes API keys; the secret leaves this process once and is stored hashed."""

from collections.abc import Callable, Sequence

from services.api.schemas.admin import IssuedKey, key_view
from services.api.schemas.requests import KeyBody
from services.api.use_cases.authenticate import SECRET_PREFIX, secret_hash
from services.api.use_cases.refusals import invalid, not_found
from shared.domain.access import ApiKey
from shared.domain.ids import KeyId, UserId
from shared.ports.access import KeyRepository
from shared.ports.clock import Clock, Ids


class AdminKeys:
    """Keys as ops handle them."""

    def __init__(
        self, keys: KeyRepository, ids: Ids, clock: Clock, random_text: Callable[[], str]
    ) -> None:
        """Take the source of secrets.

        Args:
            keys: Where keys are kept.
            ids: Names them.
            clock: Dates them.
            random_text: 256 unpredictable bits as 43 URL-safe characters.
        """
        self._keys = keys
        self._ids = ids
        self._clock = clock
        self._random_text = random_text

    async def issue(self, request: KeyBody) -> IssuedKey:
        """Store a new key and return it with its secret.

        Raises:
            RefusedError: It would have expired already.
        """
        now = self._clock.now()
        if request.expires_at is not None and request.expires_at <= now:
            raise invalid("expires_at", "expires_at lies in the past")
        secret = SECRET_PREFIX + self._random_text()
        key = ApiKey(
            id=KeyId(self._ids.new("key")),
            user_id=UserId(request.user_id),
            tier=request.tier,
            scopes=frozenset(request.scopes),
            created_at=now,
            expires_at=request.expires_at,
            limits_json=None if request.limits is None else request.limits.model_dump_json(),
        )
        await self._keys.create(key, secret_hash(secret))
        return IssuedKey(**key_view(key).model_dump(), key=secret)

    async def all(self) -> Sequence[ApiKey]:
        """Return every key that works, oldest first."""
        return await self._keys.all()

    async def revoke(self, key_id: KeyId) -> None:
        """Make a key useless.

        Raises:
            RefusedError: There is no such key.
        """
        if not await self._keys.revoke(key_id):
            raise not_found("key", key_id)
