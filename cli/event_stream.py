"""Follows one job over its websocket until the terminal event."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from pydantic import TypeAdapter
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from cli.api_client import Access, ApiFailedError, JsonObject

TERMINAL_EVENTS = frozenset({"job.completed", "job.failed", "job.cancelled", "job.expired"})
_EVENT = TypeAdapter[JsonObject](JsonObject)


def job_events(access: Access, job_id: str) -> Iterator[JsonObject]:
    """Yield the events of a job, the terminal one last.

    Raises:
        ApiFailedError: The API refused, or the connection broke.
    """
    parts = urlsplit(access.url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    url = urlunsplit(parts._replace(scheme=scheme, path=f"/v1/jobs/{job_id}/events"))
    headers = {"Authorization": f"Bearer {access.key}"}
    try:
        with connect(url, additional_headers=headers) as socket:
            for frame in socket:
                event = _EVENT.validate_json(frame)
                yield event
                if event.get("type") in TERMINAL_EVENTS:
                    return
    except InvalidStatus as error:
        raise ApiFailedError(f"job {job_id}: refused [{error.response.status_code}]") from None
    except (OSError, WebSocketException) as error:
        raise ApiFailedError(f"job {job_id}: the connection broke: {error}") from error


def event_line(event: JsonObject) -> str:
    """Return an event as one line of JSON."""
    return json.dumps(event, ensure_ascii=False)
