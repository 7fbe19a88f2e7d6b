"""Talks to the HTTP API as any other client does, and turns its refusals into one line."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from cli.local_stack.ready_file import read_ready_file

JsonObject = dict[str, JsonValue]
_OBJECT = TypeAdapter[JsonObject](JsonObject)
_TIMEOUT = httpx.Timeout(30.0, read=120.0)


class ApiFailedError(Exception):
    """The API refused or did not answer; the message is for the user."""


class _ErrorDetails(BaseModel):
    message: str


class _ErrorBody(BaseModel):
    error: _ErrorDetails


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API answers, and with which keys.

    Attributes:
        key: For the calls of a user.
        admin_key: For the admin API.
    """

    url: str
    key: str
    admin_key: str


def find_access(url: str | None, key: str | None, home: Path) -> Access:
    """Return how to reach the API: as told, else as the running stack wrote it.

    Raises:
        ApiFailedError: Neither says enough.
    """
    if url and key:
        return Access(url.rstrip("/"), key, key)
    ready = read_ready_file(home / "ready.json")
    if ready is None:
        raise ApiFailedError(
            f"no running stack in {home}: start one with `sluiceway up`, or pass --url and --key"
        )
    return Access((url or ready.api).rstrip("/"), key or ready.keys.paid, key or ready.admin_key)


class ApiClient:
    """Calls of one user, or of the administrator."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, **query: str | int | None) -> JsonObject:
        """Return the answer to a GET.

        Raises:
            ApiFailedError: The API refused or did not answer.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return self._call("GET", path, params=given)

    def send(
        self, method: str, path: str, body: Mapping[str, JsonValue] | None = None
    ) -> JsonObject:
        """Return the answer to a call that changes something; empty for 204.

        Raises:
            ApiFailedError: The API refused or did not answer.
        """
        return self._call(method, path, json=None if body is None else dict(body))

    def upload(self, path: str, content: bytes, media_type: str) -> JsonObject:
        """Return the answer to a POST of a file.

        Raises:
            ApiFailedError: The API refused or did not answer.
        """
        headers = {**self._headers, "content-type": media_type}
        with _failures_told(f"POST {path}", self._url):
            answer = httpx.post(
                f"{self._url}{path}", content=content, headers=headers, timeout=_TIMEOUT
            )
        return _read(answer, f"POST {path}")

    def stream(self, path: str, **query: str | None) -> Iterator[str]:
        """Give the text of a GET as it comes.

        Raises:
            ApiFailedError: The API refused, did not answer, or broke off.
        """
        given = {name: value for name, value in query.items() if value is not None}
        url, call = f"{self._url}{path}", f"GET {path}"
        with (
            _failures_told(call, self._url),
            httpx.stream(
                "GET", url, params=given, headers=self._headers, timeout=_TIMEOUT
            ) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise ApiFailedError(_explain(answer, call))
            yield from answer.iter_text()

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: JsonObject | None = None,
    ) -> JsonObject:
        with _failures_told(f"{method} {path}", self._url):
            answer = httpx.request(
                method,
                f"{self._url}{path}",
                params=params,
                json=json,
                headers=self._headers,
                timeout=_TIMEOUT,
            )
        return _read(answer, f"{method} {path}")


@contextmanager
def _failures_told(call: str, url: str) -> Generator[None]:
    try:
        yield
    except httpx.ConnectError:
        raise ApiFailedError(
            f"nothing answers at {url}: start it with `sluiceway up`, or pass --url"
        ) from None
    except httpx.HTTPError as error:
        raise ApiFailedError(f"{call} failed: {type(error).__name__}") from error


def _read(answer: httpx.Response, call: str) -> JsonObject:
    if not answer.is_success:
        raise ApiFailedError(_explain(answer, call))
    if not answer.content:
        return {}
    try:
        return _OBJECT.validate_json(answer.content)
    except ValidationError:
        raise ApiFailedError(f"{call} did not answer with JSON: is this a Sluiceway API?") from None


def _explain(answer: httpx.Response, call: str) -> str:
    hint = {401: " (wrong key? pass --key)", 403: " (the key lacks this scope)"}
    try:
        said = _ErrorBody.model_validate_json(answer.content).error.message
    except ValidationError:
        said = answer.reason_phrase
    return f"{said}{hint.get(answer.status_code, '')} [{answer.status_code} {call}]"
