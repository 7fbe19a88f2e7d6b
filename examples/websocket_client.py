#!/usr/bin/env python3
"""Streams an answer over a websocket and goes on where the connection broke off.

All a client must remember is the attempt it follows and how many characters of it it has: with
`after_attempt` and `after_offset` the server sends exactly the rest. A `job.reset` says that
another attempt answers from the start.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

READY_FILE = Path(__file__).resolve().parent.parent / ".sluiceway" / "ready.json"
TERMINAL_EVENTS = {"job.completed", "job.failed", "job.cancelled", "job.expired"}
LONGEST_PAUSE_SECONDS = 10.0
REFUSED = range(400, 500)


@dataclass
class Place:
    """Where we are in the answer: how many characters we have of which attempt."""

    attempt: int | None = None
    offset: int = 0

    def query(self) -> str:
        """Return what asks the server for the rest."""
        wanted = {"after_offset": self.offset}
        if self.attempt is not None:
            wanted["after_attempt"] = self.attempt
        return urlencode(wanted)


@dataclass(frozen=True)
class Server:
    """Where the API answers, with which key."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """Return the header that every call needs."""
        return {"Authorization": f"Bearer {self.key}"}


async def submit(server: Server, question: str) -> str:
    """Submit a chat job and return its id."""
    body = {"messages": [{"role": "user", "content": question}]}
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as http:
        answer = await http.post("/v1/chat/jobs", json=body)
        answer.raise_for_status()
        job_id: str = answer.json()["id"]
        return job_id


async def events(server: Server, job_id: str, drop_every: int) -> AsyncIterator[dict[str, object]]:
    """Yield the job's events to its last one, reconnecting as often as it takes.

    Args:
        server: Where the job is.
        job_id: The job.
        drop_every: Break the connection on purpose after so many characters; 0 for never.
    """
    place = Place()
    pause_seconds = 0.1
    address = f"{server.url.replace('http', 'ws', 1)}/v1/jobs/{job_id}/events"
    while True:
        received = 0
        try:
            async with connect(
                f"{address}?{place.query()}", additional_headers=server.headers
            ) as socket:
                async for message in socket:
                    event = json.loads(message)
                    received += follow(place, event)
                    pause_seconds = 0.1
                    yield event
                    if event["type"] in TERMINAL_EVENTS:
                        return
                    if drop_every and received >= drop_every:
                        break
        except InvalidStatus as refusal:
            if refusal.response.status_code in REFUSED:
                raise
        except (OSError, InvalidHandshake, ConnectionClosed):
            pass  # the server restarts, or the network is away: the next try goes on from here
        sys.stderr.write(f"\n[reconnecting with {place.query()}]\n")
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)


def follow(place: Place, event: dict[str, object]) -> int:
    """Move our place by one event and return how many characters came."""
    match event:
        case {
            "type": "job.delta",
            "attempt": int(attempt),
            "offset": int(offset),
            "text": str(text),
        }:
            place.attempt, place.offset = attempt, offset + len(text)
            return len(text)
        case {"type": "job.reset", "attempt": int(attempt)}:
            place.attempt, place.offset = attempt, 0
        case _:
            pass
    return 0


async def ask(server: Server, question: str, drop_every: int) -> int:
    """Print the answer as it comes; return the exit status."""
    job_id = await submit(server, question)
    sys.stderr.write(f"[{job_id}]\n")
    async for event in events(server, job_id, drop_every):
        match event:
            case {"type": "job.delta", "text": str(text)}:
                sys.stdout.write(text)
                sys.stdout.flush()
            case {"type": "job.reset", "reason": str(reason)}:
                sys.stderr.write(f"\n[starting again: {reason}]\n")
            case {"type": "job.status", "waiting": {"reason": str(reason), "detail": str(detail)}}:
                sys.stderr.write(f"[waiting: {reason}, {detail}]\n")
            case {"type": "job.completed", "provider": provider, "cost_usd": cost}:
                sys.stderr.write(f"\n[answered by {provider} for ${cost}]\n")
                return 0
            case {"type": "job.failed" | "job.cancelled" | "job.expired"}:
                sys.stderr.write(f"\n[{event['type']}: {event.get('error', '')}]\n")
            case _:
                pass
    return 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Stream an answer over a websocket.")
    parser.add_argument("question", nargs="?", default="How does a lock lift a ship?")
    parser.add_argument("--url", help="address of the API (default: the running stack)")
    parser.add_argument("--key", help="API key (default: the running stack's premium key)")
    parser.add_argument("--drop-every", type=int, default=0, metavar="CHARACTERS")
    given = parser.parse_args()
    if not (given.url and given.key):
        if not READY_FILE.exists():
            parser.error("no running stack: start one with `make up`, or pass --url and --key")
        ready = json.loads(READY_FILE.read_text("utf-8"))
        given.url = given.url or ready["api"]
        given.key = given.key or ready["keys"]["premium"]
    try:
        return asyncio.run(ask(Server(given.url, given.key), given.question, given.drop_every))
    except (httpx.HTTPError, InvalidStatus) as error:
        sys.stderr.write(f"{given.url} did not answer as hoped: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
