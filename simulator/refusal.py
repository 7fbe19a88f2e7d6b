"""A provider's error answer.

Invariant: raised before any token was produced, so that nothing is billed.
"""

import orjson

from simulator.exchange import JSON, Headers
from simulator.json_values import JsonObject


class InvalidRequestError(ValueError):
    """A request that a provider cannot read; each provider words it in its own way."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class RefusalError(Exception):
    """An answer with an error status."""

    def __init__(
        self,
        status: int,
        payload: JsonObject | bytes,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(f"answered with {status}")
        self.status = status
        self.body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        self.content_type = b"text/plain" if isinstance(payload, bytes) else JSON
        self.headers: Headers = headers or []
