"""An app behind a real socket, for clients that block."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_BACKLOG = 16
_STOPPING_SECONDS = 10.0


@contextmanager
def served(app: ASGIApp) -> Generator[str]:
    """Give the address of the app while it answers, in a thread of its own.

    The socket listens before the thread begins: whoever comes early waits and is answered.
    """
    config = uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_STOPPING_SECONDS)
