"""An HTTP server that leaves the end of the process to the process.

uvicorn raises SIGTERM again once it has stopped serving, which kills the process before it could
drain. This one only stops serving.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from socket import socket

import uvicorn

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def _nothing() -> None:
    """Prepare nothing."""


class StoppableServer(uvicorn.Server):
    """Serves until SIGTERM or SIGINT, then returns from `serve`."""

    def __init__(
        self, config: uvicorn.Config, before_stop: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """Take what to serve.

        Args:
            config: What to serve, and where.
            before_stop: Runs before connections are closed, such as to end long answers.
        """
        super().__init__(config)
        self._before_stop = before_stop

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take signals from here to the process's end: a second one must not cut the drain."""
        loop = asyncio.get_running_loop()
        for one in _SIGNALS:
            loop.add_signal_handler(one, self._stop)
        yield

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End long answers, then every connection."""
        await self._before_stop()
        await super().shutdown(sockets)

    def _stop(self) -> None:
        self.should_exit = True
