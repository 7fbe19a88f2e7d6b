import os
import pwd
import signal
import stat
import sys
from pathlib import Path

import aio_pika
import httpx
import psycopg
import pytest

from cli.local_stack.broker import PrivateBroker
from cli.local_stack.broker_programs import find_broker_programs
from cli.local_stack.database import EmbeddedDatabase
from cli.local_stack.process_identity import start_mark
from tests.support.servers import run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration


def _database(home: Path) -> EmbeddedDatabase:
    return EmbeddedDatabase(home / "postgres", home / "postgres.log")


def _broker(home: Path) -> PrivateBroker:
    programs = find_broker_programs()
    if programs is None:
        pytest.skip("no rabbitmq-server on this machine")
    return PrivateBroker(home / "rabbitmq", programs)


async def test_data_outlives_a_database_server(tmp_path: Path) -> None:
    first = _database(tmp_path)
    assert first.is_new
    async with await psycopg.AsyncConnection.connect(await first.start()) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await first.stop()
    second = _database(tmp_path)
    assert not second.is_new
    async with await psycopg.AsyncConnection.connect(await second.start()) as connection:
        found = await connection.execute("SELECT number FROM kept")
        assert await found.fetchone() == (7,)
    await second.stop(discard=True)


async def test_a_stopped_database_leaves_its_data_in_the_home_alone(tmp_path: Path) -> None:
    server = _database(tmp_path)
    await server.start()
    running = (tmp_path / "postgres").resolve()
    await server.stop()
    assert (tmp_path / "postgres" / "data").is_dir()
    assert not (tmp_path / "postgres").is_symlink()
    assert running == tmp_path / "postgres" or not running.exists()


async def test_the_database_offers_vectors(tmp_path: Path) -> None:
    server = _database(tmp_path)
    async with await psycopg.AsyncConnection.connect(await server.start()) as connection:
        await connection.execute("CREATE EXTENSION vector")
    await server.stop(discard=True)


async def test_the_database_asks_for_its_password(tmp_path: Path) -> None:
    server = _database(tmp_path)
    address = await server.start()
    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(address, password="wrong")
    await server.stop(discard=True)


async def test_discarding_a_database_leaves_nothing(tmp_path: Path) -> None:
    server = _database(tmp_path)
    await server.start()
    (process,) = server.processes()
    kept = (tmp_path / "postgres").resolve()
    await server.stop(discard=True)
    assert not kept.exists()
    assert not (tmp_path / "postgres").is_symlink()
    assert start_mark(process.pid) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_root_runs_the_database_unprivileged_and_opens_no_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = _database(tmp_path)
    run(server.start())
    (process,) = server.processes()
    nobody = pwd.getpwnam("nobody").pw_uid
    assert Path(f"/proc/{process.pid}").stat().st_uid == nobody
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "postgres").resolve().stat().st_mode) == 0o700
    run(server.stop(discard=True))


async def test_the_broker_keeps_its_queues_and_leaves_no_process(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    address = await broker.start()
    async with await aio_pika.connect(address.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", durable=True)
    processes = broker.processes()
    await broker.stop()
    assert [process.spec.name for process in processes] == ["epmd", "rabbitmq"]
    assert all(start_mark(process.pid) == "" for process in processes)
    again = await broker.start()
    async with await aio_pika.connect(again.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", passive=True)
    await broker.stop(discard=True)
    assert not (tmp_path / "rabbitmq").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the environment of a process")
def test_the_broker_looks_for_modules_only_where_they_may_be(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    run(broker.start())
    plugins = tmp_path / "rabbitmq" / "server" / "plugins"
    environment = Path(f"/proc/{broker.processes()[-1].pid}/environ").read_bytes()
    assert f"ERL_LIBS={plugins}\0".encode() in environment
    assert "rabbitmq_mqtt" not in {path.name.partition("-")[0] for path in plugins.iterdir()}
    run(broker.stop(discard=True))


async def test_a_broker_that_was_killed_starts_again_at_the_same_address(tmp_path: Path) -> None:
    broker = _broker(tmp_path)
    address = await broker.start()
    node = broker.processes()[-1]
    node.signal(signal.SIGKILL)
    await node.ended()
    node.respawn()

    async def answers() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"{address.management_url}/api/overview")
            except httpx.HTTPError:
                return False
            return answer.is_success

    await wait_until(answers, 60)
    await broker.stop(discard=True)


async def test_two_brokers_run_side_by_side(tmp_path: Path) -> None:
    first, second = _broker(tmp_path / "first"), _broker(tmp_path / "second")
    await first.start()
    address = await second.start()
    await first.stop(discard=True)
    async with await aio_pika.connect(address.url) as connection:
        assert not connection.is_closed
    await second.stop(discard=True)
