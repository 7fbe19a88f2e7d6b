"""How much processor time each process of a stack has used."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from cli.local_stack.ready_file import ReadyFile


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Seconds of processor time by process name, children included."""

    seconds: Mapping[str, float]

    @classmethod
    def take(cls, ready: ReadyFile) -> "CpuReading":
        """Read every process of the stack, and this one as `load`."""
        seconds = {process.name: _with_children(process.pid) for process in ready.processes}
        return cls({**seconds, "load": _own(psutil.Process())})

    def milliseconds_per(self, count: int, before: "CpuReading") -> dict[str, float]:
        """Return what each process used since `before`, per one of `count`."""
        return {
            name: (value - before.seconds.get(name, value)) * 1000 / count
            for name, value in self.seconds.items()
        }


def _with_children(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(_own(one) for one in [process, *process.children(recursive=True)])


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
