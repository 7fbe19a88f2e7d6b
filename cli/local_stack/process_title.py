"""Writes a forked process's own command line where process lists look for it (Linux)."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

_FIRST_BYTE, _END = 45, 46  # of the arguments, counted behind the name: proc(5), arg_start, arg_end


def show_as(arguments: Sequence[str]) -> None:
    """Appear as started with these arguments, as far as there is room for them."""
    fields = Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2].split()
    start, end = int(fields[_FIRST_BYTE]), int(fields[_END])
    room = end - start
    if start <= 0 or room <= 1:
        return
    title = b"\0".join(os.fsencode(word) for word in arguments)[: room - 1]
    ctypes.memmove(start, title.ljust(room, b"\0"), room)
