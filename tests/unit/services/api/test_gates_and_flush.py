import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.api.use_cases.authenticate import JOBS_SCOPE, Authenticate
from services.api.use_cases.flushing import GatheredFlush
from services.api.use_cases.gates import Gates
from services.api.use_cases.refusals import RefusedError
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.gates import CHAT_FREE, Gate, GateState
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from tests.support.api_bench import ApiBench
from tests.support.chat_jobs import CALLER

SECOND = timedelta(seconds=1)


def row(number: int) -> OutboxRow:
    return OutboxRow(number, OutgoingMessage(f"msg_{number}", "jobs", "chat.free", b"{}"))


class SlowRelay:
    """Holds its first batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def flush(self, rows: Sequence[OutboxRow]) -> None:
        self.batches.append([one.id for one in rows])
        await self.go.wait()


async def test_gates_are_read_once_per_age(bench: ApiBench) -> None:
    gates = Gates(bench.gates, bench.clock, SECOND, bench.scope_gates)
    await asyncio.gather(*(gates.admit(CHAT_FREE, CALLER) for _ in range(50)))
    assert bench.gates.reads == 1
    bench.clock.advance(SECOND)
    await gates.admit(CHAT_FREE, CALLER)
    assert bench.gates.reads == 2


async def test_without_a_database_the_last_reading_counts(bench: ApiBench) -> None:
    gates = Gates(bench.gates, bench.clock, SECOND, bench.scope_gates)
    bench.gates.is_away = True
    with pytest.raises(DatabaseUnavailableError):
        await gates.admit(CHAT_FREE, CALLER)
    bench.gates.is_away = False
    await gates.admit(CHAT_FREE, CALLER)
    bench.gates.is_away = True
    bench.clock.advance(SECOND)
    await gates.admit(CHAT_FREE, CALLER)


async def test_a_gate_closed_for_good_is_asked_again_after_a_while(bench: ApiBench) -> None:
    bench.gates.gates[CHAT_FREE] = Gate(CHAT_FREE, GateState.CLOSED, 2)
    gates = Gates(bench.gates, bench.clock, SECOND, bench.scope_gates)
    with pytest.raises(RefusedError, match="no reason given") as refused:
        await gates.admit(CHAT_FREE, CALLER)
    assert refused.value.retry_after is not None


async def test_nothing_to_flush_is_flushed_at_once() -> None:
    relay = SlowRelay()
    await GatheredFlush(relay).drain()
    assert relay.batches == []


async def test_what_gathers_while_a_batch_is_under_way_goes_next() -> None:
    relay = SlowRelay()
    flush = GatheredFlush(relay)
    flush.add([row(1)])
    await asyncio.sleep(0)
    for number in (2, 3, 4):
        flush.add([row(number)])
    relay.go.set()
    await flush.drain()
    assert relay.batches == [[1], [2, 3, 4]]


async def test_what_nobody_can_take_in_is_left_to_the_outbox() -> None:
    relay = SlowRelay()
    flush = GatheredFlush(relay)
    flush.add([row(number) for number in range(20_000)])
    flush.add([row(20_000)])
    relay.go.set()
    await flush.drain()
    assert [len(batch) for batch in relay.batches] == [20_000]


async def test_remembered_keys_are_bounded(bench: ApiBench) -> None:
    authenticate = Authenticate(
        bench.keys, bench.clock, admin_key="x" * 16, age=SECOND, remembered=1
    )
    for name in ("ann", "ann", "bob", "ann"):
        caller = await authenticate.caller(f"Bearer sk-slw-{name}", JOBS_SCOPE)
        assert caller.user_id == name
    assert bench.keys.lookups == 3


async def test_callers_who_ask_together_share_a_look_up(bench: ApiBench) -> None:
    authenticate = Authenticate(bench.keys, bench.clock, admin_key="x" * 16, age=SECOND)
    asking = [authenticate.caller("Bearer sk-slw-ann", JOBS_SCOPE) for _ in range(3)]
    assert {caller.user_id for caller in await asyncio.gather(*asking)} == {"ann"}
    assert bench.keys.lookups == 1
