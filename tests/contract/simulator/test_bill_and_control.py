import signal
import socket
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import httpx

from tests.contract.simulator.running import Simulator, clients_of, serving, write_price_rows
from tests.contract.simulator.shapes import BILL_ROW
from tests.support.waiting import wait_until

_NATIVE = "@cf/meta/llama-3.2-3b-instruct"
_PATH = f"/client/v4/accounts/acc/ai/run/{_NATIVE}"
_CHAT: dict[str, object] = {"messages": [{"role": "user", "content": "compare queues"}]}
_DEFAULTS: dict[str, object] = {
    "latency_ms": 0,
    "tokens_per_second": None,
    "mode": "ok",
    "probability": 1.0,
    "after_chunks": 3,
    "error": None,
    "seed": 0,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "models": {},
}


async def test_a_row_matches_the_answer(simulator: Simulator) -> None:
    answer = await simulator.run(_NATIVE, _CHAT)
    bill = (await simulator.http.get("/_bill")).json()
    [row] = bill["data"]
    usage = answer.json()["result"]["usage"]
    assert row.keys() == BILL_ROW
    assert row["request_id"] == answer.headers["cf-ray"]
    assert row["neurons"] == answer.headers["cf-ai-neurons"]
    assert row["input_tokens"] == usage["prompt_tokens"]
    assert row["output_tokens"] == usage["completion_tokens"]
    assert Decimal(row["cost_usd"]) == Decimal(row["neurons"]) * Decimal("0.000011")
    assert bill["total_usd"] == row["cost_usd"]
    total = (await simulator.http.get("/_bill/total")).json()
    assert total == {"total_usd": bill["total_usd"], "calls": 1}


async def test_a_client_that_leaves_pays_for_what_was_produced(simulator: Simulator) -> None:
    await simulator.set("cloudflare", tokens_per_second=100)
    body = _CHAT | {"stream": True, "max_tokens": 250, "messages": _long_chat()}
    async with simulator.http.stream("POST", _PATH, json=body) as answer:
        await anext(answer.aiter_lines())
        first = await simulator.only_row(lambda row: row["output_tokens"] != 0)
        assert first["completed"] is False
    seen: list[object] = []

    async def stands_still() -> bool:
        [row] = await simulator.bill()
        seen.append(row["output_tokens"])
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    await wait_until(stands_still)
    [row] = await simulator.bill()
    assert row["completed"] is False
    assert 0 < int(str(row["output_tokens"])) < 250


async def test_a_client_that_leaves_pays_for_a_whole_answer(simulator: Simulator) -> None:
    await simulator.set("cloudflare", latency_ms=300)
    try:
        await simulator.http.post(_PATH, json=_CHAT, timeout=0.1)
    except httpx.ReadTimeout:
        assert await simulator.bill() == []
    assert (await simulator.only_row(bool))["completed"] is True


async def test_the_bill_survives_a_restart(tmp_path: Path) -> None:
    prices = write_price_rows(tmp_path / "prices")
    with serving(tmp_path / "home", prices) as url:
        async with clients_of(url) as first:
            await first.run(_NATIVE, _CHAT)
            before = await first.bill()
    with serving(tmp_path / "home", prices) as url:
        async with clients_of(url) as second:
            assert await second.bill() == before


async def test_the_bill_can_be_emptied(simulator: Simulator) -> None:
    await simulator.run(_NATIVE, _CHAT)
    empty: dict[str, object] = {"data": [], "total_usd": "0"}
    assert (await simulator.http.delete("/_bill")).json() == empty
    assert (await simulator.http.get("/_bill")).json() == empty


async def test_control_merges_and_restores(simulator: Simulator) -> None:
    await simulator.set("openai", latency_ms=5)
    changed = (await simulator.http.put("/_control", json={"openai": {"mode": "down"}})).json()
    assert changed["openai"] == _DEFAULTS | {"latency_ms": 5, "mode": "down"}
    cloudflare = _DEFAULTS | {"free_neurons_per_day": 0, "plan": "paid", "queue_ms": 200}
    assert changed["cloudflare"] == cloudflare
    restored = (await simulator.http.delete("/_control")).json()
    assert restored == {"cloudflare": cloudflare, "openai": _DEFAULTS, "clock": None}
    assert (await simulator.http.get("/_control")).json() == restored


async def test_an_invalid_control_is_refused(simulator: Simulator) -> None:
    answer = await simulator.http.put("/_control", json={"openai": {"mode": "tired"}})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "openai.mode cannot be 'tired'"


async def test_the_clock_decides_which_models_are_retired(simulator: Simulator) -> None:
    retired = "@cf/meta/llama-3.1-8b-instruct"
    assert (await simulator.run(retired, _CHAT)).status_code == 410
    await simulator.http.put("/_control", json={"clock": "2026-05-29T00:00:00Z"})
    assert (await simulator.run(retired, _CHAT)).status_code == 200
    [row] = await simulator.bill()
    assert str(row["at"]).startswith("2026-05-29T00:00:")


async def test_health_and_unknown_paths(simulator: Simulator) -> None:
    assert (await simulator.http.get("/healthz")).json() == {"status": "ok"}
    assert (await simulator.http.get("/nowhere")).status_code == 404


async def test_the_program_keeps_its_bill_when_killed(tmp_path: Path) -> None:
    write_price_rows(tmp_path / "prices")
    assert await _bill_one_call(tmp_path, signal.SIGKILL) == (1, -signal.SIGKILL)
    assert await _bill_one_call(tmp_path, signal.SIGTERM) == (2, 0)


async def _bill_one_call(home: Path, ending: signal.Signals) -> tuple[int, int]:
    """Return the calls on the bill after one more, and the exit code of the program."""
    port = _free_port()
    program = _start(home, port)
    async with clients_of(f"http://127.0.0.1:{port}") as running:

        async def is_up() -> bool:
            return await _is_up(running.http)

        await wait_until(is_up, 30)
        await running.run(_NATIVE, _CHAT)
        calls: int = (await running.http.get("/_bill/total")).json()["calls"]
    program.send_signal(ending)
    return calls, program.wait(10)


def _start(home: Path, port: int) -> "subprocess.Popen[bytes]":
    options = ["--port", str(port), "--home", str(home / "home"), "--prices", str(home / "prices")]
    return subprocess.Popen([sys.executable, "-m", "simulator", *options])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/healthz")).is_success
    except httpx.ConnectError:
        return False


def _long_chat() -> list[dict[str, str]]:
    return [{"role": "user", "content": "write at length [[words=400]]"}]
