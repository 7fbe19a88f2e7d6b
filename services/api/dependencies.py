"""What routes need of a request: its caller, its body, its idempotency key.

Bodies are read by hand: bounded while they arrive, and parsed by pydantic from the raw bytes, which
bounds their depth and costs a fraction of parsing twice.
"""

from typing import Annotated, TypeVar

from fastapi import Header, Request
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from services.api.use_cases.authenticate import Authenticate
from services.api.use_cases.refusals import RefusalCode, RefusedError
from shared.domain.access import Caller

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same request gives the same job.",
    ),
]
BodyT = TypeVar("BodyT", bound=BaseModel)


class BearerKey(SecurityBase):
    """Finds the caller of a request or websocket; a dependency that documents itself."""

    def __init__(self, authenticate: Authenticate, scope: str) -> None:
        self.model = BearerModel(description="An API key: `Bearer sk-slw-…`")
        self.scheme_name = "api_key"
        self._authenticate = authenticate
        self._scope = scope

    async def __call__(self, connection: HTTPConnection) -> Caller:
        """Return the caller.

        Raises:
            RefusedError: The key is missing, unknown, or lacks the scope.
        """
        return await self._authenticate.caller(connection.headers.get("authorization"), self._scope)


class BodyReader:
    """Reads and parses bodies up to a size."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    async def read(self, request: Request, schema: type[BodyT], *, empty: bytes = b"") -> BodyT:
        """Return the body as `schema`.

        Args:
            request: Whose body.
            schema: What it must be.
            empty: What an empty body stands for.

        Raises:
            RefusedError: The body is too large.
            pydantic.ValidationError: It is not JSON, or not of that shape.
        """
        return schema.model_validate_json(await self.content(request) or empty)

    async def content(self, request: Request) -> bytes:
        """Return the body as it is.

        Raises:
            RefusedError: The body is too large.
        """
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > self._most_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._most_bytes:
                raise self._too_large()
            chunks.append(chunk)
        return b"".join(chunks)

    def _too_large(self) -> RefusedError:
        return RefusedError(
            RefusalCode.PAYLOAD_TOO_LARGE,
            f"the body exceeds {self._most_bytes} bytes; split the request",
        )
