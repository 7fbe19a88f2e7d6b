"""API keys."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.access import ApiKey, Caller
from shared.domain.ids import KeyId


class KeyRepository(Protocol):
    """Keys are stored hashed; the secret is shown once, at creation."""

    async def create(self, key: ApiKey, secret_hash: bytes) -> None:
        """Store a key; its user comes into being with the first one."""
        ...

    async def find(self, secret_hash: bytes) -> Caller | None:
        """Return who holds this key; None when unknown, revoked or expired."""
        ...

    async def all(self) -> Sequence[ApiKey]:
        """Return every key that is not revoked, oldest first."""
        ...

    async def revoke(self, key_id: KeyId) -> bool:
        """Make a key useless at once; False when there is no such key."""
        ...
