"""Empties the demo's home, so that every demo starts from nothing, whatever became of the last."""

import asyncio
import shutil
from pathlib import Path

from cli.local_stack.database_files import prepare_files
from cli.local_stack.leftovers import end_leftovers, lock_home


async def empty_home(home: Path) -> None:
    """End what an interrupted demo left behind and remove its files.

    Raises:
        HomeInUseError: A demo runs in this home.
    """
    if not await asyncio.to_thread(home.exists):
        return
    with lock_home(home):
        await end_leftovers(home)
        await asyncio.to_thread(_remove, home)


def _remove(home: Path) -> None:
    database = home / "postgres"
    if database.is_symlink():  # its data lies elsewhere when root started it
        prepare_files(database).remove()
    shutil.rmtree(home)
