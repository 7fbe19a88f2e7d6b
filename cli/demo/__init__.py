"""The demo: a client that shows the main job on a stack of its own, and checks what it claims."""

from cli.demo.whole_run import run

__all__ = ["run"]
