"""An inference worker that dies at one point: `python -m tests.chaos.crashing_inference POINT`."""

import sys
from dataclasses import replace

import uvloop

from services.inference_worker.main import open_ports, run
from services.inference_worker.settings import load_settings
from shared.observability import logging
from shared.persistence.engine import create_engine
from tests.chaos.dying import Death, DyingAttempts, DyingChatModel, DyingOutbox, Point


async def work(death: Death) -> None:
    settings = load_settings()
    logging.configure(settings.process.name, settings.process.log_level)
    engine = create_engine(settings.database.url)
    async with open_ports(settings) as ports:
        dying = replace(
            ports,
            attempts=DyingAttempts(engine, death),
            outbox=DyingOutbox(engine, death),
            chat={name: DyingChatModel(model, death) for name, model in ports.chat.items()},
        )
        await run(settings, dying)
    await engine.dispose()


def main() -> None:
    uvloop.run(work(Death(Point(sys.argv[1]))))


if __name__ == "__main__":
    main()
