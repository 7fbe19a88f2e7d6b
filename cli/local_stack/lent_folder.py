"""Lends a folder of the home to an unprivileged user for the time of a run.

That user may not be able to reach the home, and no folder above it may be opened. The folder is
therefore copied to a temporary one that the user owns, with a link in its place, and copied back
at the end. Wherever this is interrupted, one complete copy stays and the next run finds it.
"""

import os
import shutil
import tempfile
from pathlib import Path

from cli.local_stack.processes import Account

_TEMPORARY_PREFIX = "sluiceway-postgres-"


def lend(location: Path, account: Account) -> Path:
    """Return a temporary folder with what `location` holds; `location` becomes a link to it."""
    location.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tidy(location)
    if location.is_symlink():
        lent = location.readlink()
        if _is_lent(lent, account):
            return lent
        location.unlink()
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX))
    if location.exists():
        shutil.copytree(location, folder, symlinks=True, dirs_exist_ok=True)
        location.rename(_draft(location))
    give_to(folder, account)
    location.symlink_to(folder)
    _tidy(location)
    return folder


def take_back(location: Path, folder: Path, *, without: str) -> None:
    """Put the folder back in the place of its link, except what is called `without`."""
    draft = _draft(location)
    shutil.copytree(folder, draft, symlinks=True, ignore=shutil.ignore_patterns(without))
    location.unlink()
    draft.rename(location)
    shutil.rmtree(folder)


def give_to(target: Path, account: Account) -> None:
    """Make the account the owner of everything below, and the only one that may enter."""
    target.chmod(0o700)
    for folder, _, files in os.walk(target):
        os.chown(folder, account.user_id, account.group_id)
        for name in files:
            os.chown(Path(folder) / name, account.user_id, account.group_id, follow_symlinks=False)


def _draft(location: Path) -> Path:
    return location.with_name(f"{location.name}.moving")


def _tidy(location: Path) -> None:
    """Finish what an interrupted copy left: the draft is complete only if nothing replaced it."""
    draft = _draft(location)
    if not draft.exists():
        return
    if location.is_symlink() or location.exists():
        shutil.rmtree(draft)
    else:
        draft.rename(location)


def _is_lent(folder: Path, account: Account) -> bool:
    return (
        folder.name.startswith(_TEMPORARY_PREFIX)
        and folder.is_dir()
        and not folder.is_symlink()
        and folder.stat().st_uid == account.user_id
    )
