"""Composition root: builds the simulation and serves it until SIGTERM.

Invariant: whatever ends the server, the bill in memory is written before the process ends.
"""

import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from simulator.app import App
from simulator.bill import Bill
from simulator.clock import Clock, steady_seconds
from simulator.cloudflare import known_errors as cloudflare_errors
from simulator.connection import Protocol
from simulator.control import Controls
from simulator.openai_api import known_errors as openai_errors
from simulator.prices import read_prices
from simulator.rate_limit import RateLimiter
from simulator.request_log import RequestLog
from simulator.simulation import Simulation

DEFAULT_PRICES = Path(__file__).resolve().parent.parent / "prices"
_DRAIN_SECONDS = 1


def run(port: int, home: Path, *, host: str = "127.0.0.1", prices: Path = DEFAULT_PRICES) -> None:
    """Serve both providers on `port`; the bill is kept in `home`, the rates come from `prices`.

    Raises:
        FileNotFoundError: `prices` holds no price rows.
    """
    # uvicorn drains on SIGTERM, then raises it again: an exception lets `finally` run.
    signal.signal(signal.SIGTERM, _exit)
    simulation = build(home, prices)
    try:
        uvicorn.Server(server_config(App(simulation), host, port)).run()
    finally:
        simulation.bill.close()


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def build(home: Path, prices: Path) -> Simulation:
    """Return a simulation with the bill found in `home`; the caller closes its bill.

    Raises:
        FileNotFoundError: `prices` holds no price rows.
    """
    clock = Clock()
    controls = Controls(
        clock,
        {
            "cloudflare": cloudflare_errors.KNOWN_ERRORS.keys(),
            "openai": openai_errors.KNOWN_ERRORS.keys(),
        },
    )
    return Simulation(
        prices=read_prices(prices),
        controls=controls,
        bill=Bill(home, clock.now, controls.free_neurons_per_day),
        clock=clock,
        limiter=RateLimiter(),
        requests=RequestLog(),
        now=steady_seconds,
    )


def server_config(app: App, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    """Return the leanest server that still speaks HTTP/1.1 properly."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_level="critical",
        proxy_headers=False,
        server_header=False,
        backlog=4096,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
