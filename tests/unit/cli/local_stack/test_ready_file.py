import stat
from pathlib import Path

from cli.local_stack.ready_file import DemoKeys, ReadyFile, read_ready_file, write_ready_file

READY = ReadyFile(
    api="http://127.0.0.1:1",
    console=None,
    simulator=None,
    admin_key="admin",
    keys=DemoKeys(free="f", paid="p", premium="q"),
    database_url="postgresql://x",
    rabbitmq_url="amqp://x",
    rabbitmq_management_url="http://x",
    processes=(),
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_ready_file(tmp_path / "ready.json", READY)
    assert read_ready_file(tmp_path / "ready.json") == READY


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    write_ready_file(tmp_path / "ready.json", READY)
    assert stat.S_IMODE((tmp_path / "ready.json").stat().st_mode) == 0o600


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    write_ready_file(file, READY)
    with file.open() as old:
        write_ready_file(file, READY.model_copy(update={"api": "http://127.0.0.1:2"}))
        assert ReadyFile.model_validate_json(old.read()) == READY


def test_no_draft_stays_behind(tmp_path: Path) -> None:
    write_ready_file(tmp_path / "ready.json", READY)
    assert [file.name for file in tmp_path.iterdir()] == ["ready.json"]


def test_a_missing_or_broken_file_is_no_stack(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    assert read_ready_file(tmp_path / "none") is None
    assert read_ready_file(tmp_path / "broken") is None
