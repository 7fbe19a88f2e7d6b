"""An embedding worker that dies at one point: `python -m tests.chaos.crashing_embedding POINT`."""

import sys
from dataclasses import replace

import uvloop

from services.embedding_worker.main import open_adapters, run
from services.embedding_worker.settings import load_settings
from shared.observability import logging
from shared.persistence.engine import create_engine
from tests.chaos.dying import (
    Death,
    DyingAttempts,
    DyingEmbeddingModel,
    DyingEmbeddings,
    DyingOutbox,
    Point,
)


async def work(death: Death) -> None:
    settings = load_settings()
    logging.configure(settings.process.name, settings.process.log_level)
    engine = create_engine(settings.database.url)
    async with open_adapters(settings) as adapters:
        models = adapters.models.items()
        dying = replace(
            adapters,
            attempts=DyingAttempts(engine, death),
            embeddings=DyingEmbeddings(engine, death),
            outbox=DyingOutbox(engine, death),
            models={name: DyingEmbeddingModel(model, death) for name, model in models},
        )
        await run(settings, dying)
    await engine.dispose()


def main() -> None:
    uvloop.run(work(Death(Point(sys.argv[1]))))


if __name__ == "__main__":
    main()
