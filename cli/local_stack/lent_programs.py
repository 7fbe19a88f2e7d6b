"""Puts programs where an unprivileged user reaches them, without opening the folders they lie in.

A file that others may read anyway gets a second name there, which takes a thirtieth of a copy's
time, and which that user cannot write to; another file, or one on another disk, is copied.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cli.local_stack.processes import Account

_READ_AND_RUN = 0o5


def lend_programs(source: Path, parts: Sequence[str], target: Path, account: Account) -> None:
    """Make `target` anew, with the files and folders of `source` that `parts` names.

    Args:
        source: Where the programs lie.
        parts: Paths below `source`; what is not there is left out.
        target: The account's own folder, which nobody else may enter.
        account: Who shall run them.
    """

    def place(file: str, copy: str) -> str:
        if _is_for_all(file):
            with suppress(OSError):
                os.link(file, copy)
                return copy
        shutil.copyfile(file, copy)
        shutil.copymode(file, copy)
        os.chown(copy, account.user_id, account.group_id)
        return copy

    shutil.rmtree(target, ignore_errors=True)
    for part in parts:
        copy = target / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, copy, copy_function=place)
        elif (source / part).exists():
            place(str(source / part), str(copy))
    target.chmod(0o700)
    for folder, _, _ in os.walk(target):
        os.chown(folder, account.user_id, account.group_id)


def _is_for_all(file: str) -> bool:
    """Tell whether everybody may do with the file what its owner may, writing aside."""
    mode = Path(file).stat().st_mode
    return (mode >> 6) & _READ_AND_RUN == mode & _READ_AND_RUN
