"""Every fault of a provider against every kind of job, with somebody to fall back on and without.

`make chaos` runs all of it and prints it; the usual run takes a fault of each sort.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import JsonValue

from tests.chaos.faults import KINDS, TIERS, Seen, job_under_fault
from tests.chaos.sizes import ChaosChoice
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient
from tests.support.stacks import ExtraProcess, RunningStack, extra_process

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

_IMPATIENT = {
    "SLUICEWAY_ROUTING": str(Path(__file__).with_name("faulty_routing.toml")),
    "SLUICEWAY_FIRST_TOKEN_SECONDS": "1.5",
    "SLUICEWAY_BETWEEN_TOKENS_SECONDS": "0.6",
    "SLUICEWAY_CALL_SECONDS": "3",
}
# So long that all six jobs are under way before the first of them opens a circuit.
_LATENCY_MS = 600


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with Cloudflare, and by which error each kind of job notices.

    Attributes:
        stream: The error of a streamed chat; "" when it succeeds.
        plain: Of a chat whose answer comes in one piece.
        embed: Of an embedding.
        is_midway: Whether the streamed chat has shown some text by then.
        is_final: Whether nobody would take such a request.
    """

    behaviour: Mapping[str, JsonValue]
    stream: str
    plain: str
    embed: str
    is_midway: bool = False
    is_final: bool = False

    def code(self, kind: str) -> str:
        """Return by which error a kind of job notices."""
        return {"chat stream": self.stream, "chat plain": self.plain, "embed": self.embed}[kind]

    def expected(self, kind: str, way: str) -> str:
        """Return how a job's attempts end, what its client sees, and how it stands."""
        code = self.code(kind)
        if not code:
            return "cloudflare succeeded | completed | succeeded"
        if self.is_final:
            return f"cloudflare failed:{code} | failed:{code} | failed"
        if way == "alone":
            return f"cloudflare failed:{code} | - | waits"
        reset = f"reset:{code} " if self.is_midway and kind == "chat stream" else ""
        return f"cloudflare failed:{code} > openai succeeded | {reset}completed | succeeded"


def _mode(
    mode: str, stream: str, plain: str, embed: str, *, is_midway: bool = False, **more: JsonValue
) -> Fault:
    return Fault({"mode": mode, **more}, stream, plain, embed, is_midway=is_midway)


def _error(code: str, *, is_final: bool = False) -> Fault:
    return Fault({"mode": "error", "error": code}, code, code, code, is_final=is_final)


FAULTS = {
    "ok": _mode("ok", "", "", ""),
    "down": _mode("down", "http_503", "http_503", "http_503"),
    "reset": _mode("reset", "connection", "connection", "connection"),
    "unauthorized": _mode("unauthorized", "10000", "10000", "10000"),
    "rate_limited": _mode("rate_limited", "3021", "3021", "3021"),
    "no_capacity": _mode("no_capacity", "3040", "3040", "3040"),
    "quota": _mode("quota", "3036", "3036", "3036"),
    "retired": _mode("retired", "5028", "5028", "5028"),
    "cut_stream": _mode("cut_stream", "stream_cut", "", "", is_midway=True),
    "error_in_stream": _mode("error_in_stream", "3040", "", "", is_midway=True),
    "stall": _mode(
        "stall", "timeout_between_tokens", "timeout_total", "timeout_first_token", is_midway=True
    ),
    "silent": _mode("silent", "timeout_first_token", "timeout_total", "timeout_first_token"),
    "slow": _mode(
        "slow", "timeout_total", "timeout_total", "", is_midway=True, tokens_per_second=40
    ),
    "malformed": _mode("malformed", "malformed", "malformed", "malformed", is_midway=True),
    "empty": _mode("empty", "empty_answer", "empty_answer", "malformed"),
    "gateway's money": _error("2045"),
    "model's window": _error("5021"),
    "wrong request": _error("8001", is_final=True),
}
_SMALL = ("down", "quota", "cut_stream", "stall", "wrong request")


def _chosen() -> Iterator[str]:
    return iter(FAULTS if ChaosChoice().size == "full" else _SMALL)


@pytest.fixture
async def workers(crash_stack: RunningStack) -> AsyncGenerator[None]:
    """Run workers that lose patience quickly; free jobs may fall back, paid ones may not."""
    async with (
        _worker(crash_stack, "inference"),
        _worker(crash_stack, "embedding"),
    ):
        yield


@asynccontextmanager
async def _worker(stack: RunningStack, kind: str) -> AsyncGenerator[ExtraProcess]:
    module = f"services.{kind}_worker.main"
    async with extra_process(stack, f"{kind}-9", module, **_IMPATIENT) as process:
        yield process


@pytest.mark.usefixtures("workers", "aggregator")
async def test_every_fault_ends_as_the_table_says(
    crash_stack: RunningStack, client: StackClient
) -> None:
    print("\n| fault | job | fallback | attempts | frames | job |\n|---|---|---|---|---|---|")  # noqa: T201 - `make chaos` shows the table
    wrong: list[str] = []
    for name in _chosen():
        seen = await _under(client, FAULTS[name])
        await client.behave()
        for (kind, way), one in seen.items():
            print(f"| {name} | {kind} | {way} | {' | '.join(str(one).split(' | '))} |")  # noqa: T201 - as above
            expected = FAULTS[name].expected(kind, way)
            if str(one) != expected:
                wrong.append(f"{name}, {kind}, {way}: {one}; expected: {expected}")
        await _healed(client, seen)
        books = await balanced_books(crash_stack, client, [one.job_id for one in seen.values()])
        print(f"| {name} | | | {books} | | |")  # noqa: T201 - as above
    assert not wrong, "\n".join(wrong)


async def _under(client: StackClient, fault: Fault) -> Mapping[tuple[str, str], Seen]:
    await client.misbehave("cloudflare", after_chunks=2, latency_ms=_LATENCY_MS, **fault.behaviour)
    cells = [(kind, way) for kind in KINDS for way in TIERS]
    jobs = (job_under_fault(client, kind, TIERS[way]) for kind, way in cells)
    return dict(zip(cells, await asyncio.gather(*jobs), strict=True))


async def _healed(client: StackClient, seen: Mapping[tuple[str, str], Seen]) -> None:
    """Wait for the jobs that waited: once Cloudflare is well, each has its answer."""
    for (_, way), one in seen.items():
        if one.state == "waits":
            job = await client.finished(one.job_id, tier=TIERS[way])
            assert job.status == "succeeded", job
