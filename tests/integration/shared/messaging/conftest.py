from collections.abc import AsyncGenerator

import aio_pika
import pytest
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection

from shared.messaging.declaration import declare
from shared.messaging.publisher import ConfirmedPublisher


@pytest.fixture
async def declared_url(amqp_url: str, management_url: str) -> str:
    """A virtual host of its own with the whole topology."""
    await declare(amqp_url, management_url)
    return amqp_url


@pytest.fixture
async def connection(declared_url: str) -> AsyncGenerator[AbstractRobustConnection]:
    async with await aio_pika.connect_robust(declared_url) as connection:
        yield connection


@pytest.fixture
async def channel(connection: AbstractRobustConnection) -> AbstractRobustChannel:
    channel = connection.channel()
    await channel.initialize()
    return channel


@pytest.fixture
async def publisher(connection: AbstractRobustConnection) -> ConfirmedPublisher:
    return await ConfirmedPublisher.open(connection)
