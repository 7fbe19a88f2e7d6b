"""A server that is stopped while it still starts leaves nothing, and starts again later."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import aio_pika
import psycopg
import pytest

from cli.local_stack.broker import PrivateBroker
from cli.local_stack.broker_programs import find_broker_programs
from cli.local_stack.database import EmbeddedDatabase
from cli.local_stack.process_identity import start_mark
from cli.local_stack.servers import BrokerServer, DatabaseServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


def _broker(home: Path) -> PrivateBroker:
    programs = find_broker_programs()
    if programs is None:
        pytest.skip("no rabbitmq-server on this machine")
    return PrivateBroker(home / "rabbitmq", programs)


async def _interrupt(server: BrokerServer | DatabaseServer, reached: Callable[[], bool]) -> None:
    """Cancel a start at some point, as Ctrl-C does, and stop within 5 s."""
    starting = asyncio.ensure_future(server.start())
    await wait_until(reached, 30)
    processes = server.processes()
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    async with asyncio.timeout(5):
        await server.stop(discard=False)
    assert [each.spec.name for each in processes if start_mark(each.pid)] == []


async def test_a_broker_interrupted_at_its_first_start_starts_again(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    data = tmp_path / "rabbitmq" / "data"
    await _interrupt(broker, lambda: any(data.rglob("*.DCD")))
    address = await broker.start()
    assert not (tmp_path / "rabbitmq" / "first-boot").exists()
    async with await aio_pika.connect(address.url) as connection:
        assert not connection.is_closed
    await broker.stop(discard=True)


@pytest.mark.parametrize("file", ["data/base", "data/global/pg_control"])
async def test_a_database_interrupted_at_its_first_start_leaves_nothing(
    tmp_path: Path, file: str
) -> None:
    database = EmbeddedDatabase(tmp_path / "postgres", tmp_path / "postgres.log")
    await _interrupt(database, (tmp_path / "postgres" / file).exists)
    assert not (tmp_path / "postgres").is_symlink()
    async with await psycopg.AsyncConnection.connect(await database.start()) as connection:
        found = await connection.execute("SELECT 1")
        assert await found.fetchone() == (1,)
    await database.stop(discard=True)


async def test_a_broker_knows_its_address_before_it_starts(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    prepared = await broker.prepare()
    assert await broker.start() == prepared
    await broker.stop(discard=True)
