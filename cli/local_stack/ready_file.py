"""The file that tells scripts where everything is; it is complete whenever it exists."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cli.local_stack.atomic_file import write_private


class RunningProcess(BaseModel):
    """One process of the stack."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int


class DemoKeys(BaseModel):
    """One key per tier, without request limits, each of a user of its own."""

    model_config = ConfigDict(frozen=True)

    free: str
    paid: str
    premium: str


class ReadyFile(BaseModel):
    """Where a stack answers, and with which keys."""

    model_config = ConfigDict(frozen=True)

    api: str
    console: str | None
    simulator: str | None
    admin_key: str
    keys: DemoKeys
    database_url: str
    rabbitmq_url: str
    rabbitmq_management_url: str
    processes: tuple[RunningProcess, ...]


def write_ready_file(path: Path, ready: ReadyFile) -> None:
    """Replace the file in one step."""
    write_private(path, ready.model_dump_json(indent=2) + "\n")


def read_ready_file(path: Path) -> ReadyFile | None:
    """Return what a running stack wrote, or None when none has."""
    try:
        return ReadyFile.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
