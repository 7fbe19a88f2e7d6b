"""Work for a stack under attack: clients that repeat what was not answered, as real ones do."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from pydantic import JsonValue

from services.api.schemas.jobs import JobAccepted
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.waiting import wait_until

_ACCEPT_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_TIERS = ("free", "paid", "premium")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as its client remembers it; `prompt` is None for an embeddings job."""

    id: str
    tier: str
    prompt: str | None


@dataclass(frozen=True, slots=True)
class _Order:
    """A request, with the key under which it is repeated; no key is ever used by two loads."""

    key: str
    tier: str
    prompt: str | None
    body: dict[str, JsonValue]


class Load:
    """Hands in jobs of every kind and tier, and remembers them."""

    def __init__(self, client: StackClient, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._run = secrets.token_hex(8)
        self._number = 0
        self.wanted: list[Wanted] = []

    async def submit(self, count: int) -> None:
        """Hand in jobs at once; returns when all are accepted."""
        orders = [self._order() for _ in range(count)]
        self.wanted += await asyncio.gather(*(self._accepted(order) for order in orders))

    async def results(self, seconds: float) -> None:
        """Wait for every job, and check that each has the right result."""
        jobs = await asyncio.gather(
            *(self._client.finished(one.id, tier=one.tier, seconds=seconds) for one in self.wanted)
        )
        for one, job in zip(self.wanted, jobs, strict=True):
            assert job.status == "succeeded", job
            assert job.cost_usd == sum(attempt.cost_usd for attempt in job.attempts), job
            assert one.prompt is None or text_of(job) == right_answer(one.prompt), job

    @property
    def job_ids(self) -> Sequence[str]:
        """Every job handed in."""
        return [one.id for one in self.wanted]

    def _order(self) -> _Order:
        self._number += 1
        key = f"{self._run}-{self._number}"
        tier = self._random.choice(_TIERS)
        words = f"order {self._number} of {self._random.getrandbits(32):x}"
        if self._number % 6 == 0:
            texts: list[JsonValue] = [f"{words}, text {n}" for n in range(20)]
            return _Order(key, tier, None, {"input": texts})
        return _Order(key, tier, words, {"messages": [{"role": "user", "content": words}]})

    async def _accepted(self, order: _Order) -> Wanted:
        """Repeat a request under its idempotency key until it is accepted."""
        accepted: list[str] = []

        async def is_accepted() -> bool:
            accepted.extend(await self._try(order))
            return bool(accepted)

        await wait_until(is_accepted, _ACCEPT_SECONDS, poll_seconds=_PAUSE_SECONDS)
        return Wanted(accepted[0], order.tier, order.prompt)

    async def _try(self, order: _Order) -> list[str]:
        """Hand in a request; return the job's id, or none when nobody could take it."""
        path = "embeddings" if order.prompt is None else "chat"
        url = f"{self._client.ready.api}/v1/{path}/jobs"
        headers = self._client.login(order.tier) | {"Idempotency-Key": order.key}
        try:
            answer = await self._client.http.post(url, json=order.body, headers=headers)
        except httpx.TransportError:
            return []
        if answer.status_code == 202:
            return [JobAccepted.model_validate_json(answer.content).id]
        assert answer.status_code == 503, answer.text
        assert "retry-after" in answer.headers, answer.text
        return []
