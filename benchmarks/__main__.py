"""Starts a private stack, runs the stages on it one after another, and prints what they measured.

python -m benchmarks [accept] [chat] [embed] [ledger] [backlog] [gates]
"""

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from benchmarks.backlog_stage import backlog
from benchmarks.gates_stage import gates
from benchmarks.http_load import Connection, Target
from benchmarks.ledger_stage import ledger
from benchmarks.report import Reported
from benchmarks.stages import Bench, accept, added_latency, chat, drain, embed
from cli.local_stack.foreground import run_stack
from cli.local_stack.plan import StackOptions
from cli.local_stack.ready_file import ReadyFile

Stage = Callable[[Bench], Awaitable[Reported]]
STAGES: dict[str, Sequence[Stage]] = {
    "accept": (accept, drain),
    "chat": (
        lambda bench: chat(bench, 50, 3000),
        lambda bench: chat(bench, 10, 1000),
        added_latency,
    ),
    "embed": (embed,),
    "ledger": (ledger,),
    "backlog": (backlog,),
    "gates": (gates,),
}


def main() -> None:
    """Run the stages named on the command line, or all of them."""
    names = sys.argv[1:] or [*STAGES]
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        sys.exit(f"unknown stage {', '.join(unknown)}: choose from {', '.join(STAGES)}")
    began = time.perf_counter()

    async def use(ready: ReadyFile) -> None:
        print(f"{'stack ready':<28} {time.perf_counter() - began:>9.1f} s", flush=True)
        bench = Bench(ready, Connection(Target(ready.api, ready.admin_key)))
        for name in names:
            for stage in STAGES[name]:
                print("\n".join((await stage(bench)).lines()), flush=True)

    with tempfile.TemporaryDirectory(prefix="sluiceway-bench-") as folder:
        home = Path(folder) / "home"
        scale = {"api": 1, "inference": 1, "embedding": 1, "aggregator": 1}
        options = StackOptions(home=home, ready_file=home / "ready.json", api_port=0, scale=scale)
        uvloop.run(run_stack(options, use))


if __name__ == "__main__":
    main()
