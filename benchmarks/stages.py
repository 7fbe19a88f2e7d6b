"""The stages: each drives a running stack from outside and says what it measured."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import orjson

from benchmarks.cpu import CpuReading
from benchmarks.http_load import Connection, Target, in_flight
from benchmarks.report import Measured
from cli.local_stack.ready_file import ReadyFile

CHAT: Mapping[str, object] = {
    "messages": [{"role": "user", "content": "Why does the tide come in twice a day?"}]
}
_PROVIDER_MS = 500
_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Bench:
    """A running stack, seen by a user and by ops."""

    ready: ReadyFile
    admin: Connection

    @property
    def user(self) -> Target:
        """Return the API as the paid demo user."""
        return Target(self.ready.api, self.ready.keys.paid)

    async def move_gate(self, queue: str, action: str) -> None:
        """Pause or resume a queue."""
        status, body = await self.admin.post(
            f"/v1/admin/queues/{queue}/{action}", {"reason": "benchmark"}
        )
        await self.admin.close()
        if status != 200:
            raise RuntimeError(f"{action} {queue}: {status} {body.decode()}")

    @asynccontextmanager
    async def provider_latency(self, milliseconds: int) -> AsyncGenerator[None]:
        """Let the simulated provider take so long for the time of the block."""
        simulator = Connection(Target(self.ready.simulator or "", ""))
        await simulator.put("/_control", {"cloudflare": {"latency_ms": milliseconds}})
        await simulator.close()  # a stage may take longer than the server keeps a connection
        try:
            yield
        finally:
            await simulator.put("/_control", {"cloudflare": {"latency_ms": 0}})
            await simulator.close()

    async def settled_requests(self) -> int:
        """Return how many entries the ledger has once all calls so far are in it."""
        seen = -1
        while (now := await self.ledger_requests()) != seen:
            seen = now
            await asyncio.sleep(0.3)
        return seen

    async def ledger_requests(self) -> int:
        """Return how many entries the ledger has."""
        _, body = await self.admin.get("/v1/admin/usage")
        await self.admin.close()  # a stage may take longer than the server keeps a connection
        rows = orjson.loads(body)["data"]
        return sum(int(row["requests"]) for row in rows)


async def accept(bench: Bench, total: int = 3000) -> Measured:
    """Submit jobs to a paused queue: what durable acceptance alone costs."""
    await bench.move_gate("chat.paid", "pause")
    latencies: list[float] = []

    async def one(connection: Connection) -> None:
        began = time.perf_counter()
        status, body = await connection.post("/v1/chat/jobs", CHAT)
        if status != 202:
            raise RuntimeError(f"not accepted: {status} {body.decode()}")
        latencies.append((time.perf_counter() - began) * 1000)

    before, began = CpuReading.take(bench.ready), time.perf_counter()
    await in_flight(32, total, one, bench.user)
    seconds = time.perf_counter() - began
    cpu = CpuReading.take(bench.ready).milliseconds_per(total, before)
    return Measured("accepted jobs (32 clients)", total / seconds, "job", 400, latencies, cpu)


async def drain(bench: Bench, total: int = 3000) -> Measured:
    """Let the workers at the jobs that `accept` left, until the last is in the ledger."""
    booked = await bench.ledger_requests()
    before, began = CpuReading.take(bench.ready), time.perf_counter()
    await bench.move_gate("chat.paid", "resume")
    await until(lambda: _at_least(bench, booked + total))
    seconds = time.perf_counter() - began
    cpu = CpuReading.take(bench.ready).milliseconds_per(total, before)
    return Measured("backlog to ledger", total / seconds, "job", 150, (), cpu)


async def chat(bench: Bench, clients: int, total: int) -> Measured:
    """Submit, watch by server-sent events to the last frame, and again: what a client waits for."""
    measured = await _chat(bench, f"chat by SSE ({clients} in flight)", clients, total)
    return replace(measured, wanted=150)


async def added_latency(bench: Bench, clients: int = 10, total: int = 400) -> Measured:
    """As `chat`, with a provider that takes its time: what a client waits for beyond that.

    With a provider that takes none, latency only mirrors throughput: so many clients that always
    wait for their next answer keep every core busy.
    """
    async with bench.provider_latency(_PROVIDER_MS):
        name = f"added latency ({clients} in flight)"
        measured = await _chat(bench, name, clients, total)
    added = [one - _PROVIDER_MS for one in measured.latencies_ms]
    return replace(measured, latencies_ms=added, wanted_p50_ms=30)


async def _chat(bench: Bench, name: str, clients: int, total: int) -> Measured:
    latencies: list[float] = []

    async def one(connection: Connection) -> None:
        began = time.perf_counter()
        _, body = await connection.post("/v1/chat/jobs", CHAT)
        frame = await connection.last_frame(orjson.loads(body)["id"])
        if frame.get("type") != "job.completed":
            raise RuntimeError(f"not completed: {frame}")
        latencies.append((time.perf_counter() - began) * 1000)

    await in_flight(clients, 2 * clients, one, bench.user)  # connections, plans and lanes
    latencies.clear()
    booked = await bench.settled_requests()
    before, began = CpuReading.take(bench.ready), time.perf_counter()
    await in_flight(clients, total, one, bench.user)
    await until(lambda: _at_least(bench, booked + total))
    seconds = time.perf_counter() - began
    cpu = CpuReading.take(bench.ready).milliseconds_per(total, before)
    return Measured(name, total / seconds, "job", latencies_ms=latencies, cpu_ms=cpu)


async def embed(bench: Bench, total: int = 8000) -> Measured:
    """Ingest documents until every text has its vector."""
    connection = Connection(bench.user)
    await connection.put("/v1/collections/bench", {})
    before, began = CpuReading.take(bench.ready), time.perf_counter()
    ids: list[str] = []
    for batch in range(0, total, 1000):
        documents = [
            {"id": f"{began}-{n}", "text": f"Document {n} speaks of tides, moons and {n * 7919}."}
            for n in range(batch, batch + 1000)
        ]
        _, body = await connection.post("/v1/collections/bench/documents", {"documents": documents})
        ids.append(orjson.loads(body)["ingestion_id"])

    async def all_embedded() -> bool:
        _, body = await connection.get(f"/v1/ingestions/{ids[0]}")
        if orjson.loads(body)["status"] == "completed":
            ids.pop(0)
        return not ids

    await until(all_embedded)
    seconds = time.perf_counter() - began
    cpu = CpuReading.take(bench.ready).milliseconds_per(total, before)
    await connection.close()
    return Measured("texts into pgvector", total / seconds, "text", 1500, (), cpu)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask every 100 ms, and return once the condition holds.

    Raises:
        TimeoutError: It did not within two minutes.
    """
    pause = asyncio.Event()
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not await condition():
            asyncio.get_running_loop().call_later(_POLL_SECONDS, pause.set)
            await pause.wait()
            pause.clear()


async def _at_least(bench: Bench, count: int) -> bool:
    return await bench.ledger_requests() >= count
