"""Puts the topology on a broker, once per deployment; services only look it up afterwards.

Invariant: idempotent, and policies come first, so that no queue ever stands without its
dead-letter exchange.
"""

import re

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError

from shared.domain.errors import BrokerUnavailableError, TopologyError
from shared.messaging.management import Management
from shared.messaging.topology import BINDINGS, EXCHANGES, POLICIES, QUEUES


async def declare(amqp_url: str, management_url: str | None) -> None:
    """Declare every exchange, queue, binding and policy; doing it again changes nothing.

    Args:
        amqp_url: The broker, with a virtual host as its percent-encoded path.
        management_url: The management API, which alone can set policies.

    Raises:
        TopologyError: Something of that name exists with other properties, a policy was refused,
            or the management URL is missing.
        BrokerUnavailableError: The broker or its management API did not answer.
    """
    if management_url is None:
        raise TopologyError(
            "policies can only be set through the management API: enable the plugin "
            "rabbitmq_management and set RABBITMQ_MANAGEMENT_URL, for example "
            "http://127.0.0.1:15672"
        )
    management = Management(management_url, amqp_url)
    try:
        async with await aio_pika.connect(amqp_url) as connection:
            version = _version(connection)
            for policy in POLICIES:
                await management.put_policy(policy, version)
            await _declare_all(await connection.channel())
    except aio_pika.exceptions.ChannelPreconditionFailed as error:
        raise TopologyError(
            f"{error}: it exists with other properties; drain and delete it, then declare again"
        ) from error
    except (AMQPError, ConnectionError) as error:
        raise BrokerUnavailableError(f"the topology could not be declared: {error}") from error


async def is_declared(amqp_url: str) -> bool:
    """Tell whether the broker answers and every queue stands; they are declared last."""
    try:
        async with await aio_pika.connect(amqp_url) as connection:
            channel = await connection.channel()
            for queue in QUEUES:
                await channel.declare_queue(queue.name, passive=True)
    except (AMQPError, ConnectionError):
        return False
    return True


async def _declare_all(channel: AbstractChannel) -> None:
    for exchange in EXCHANGES:
        await channel.declare_exchange(exchange.name, exchange.kind, durable=True)
    for queue in QUEUES:
        declared = await channel.declare_queue(
            queue.name, durable=queue.durable, arguments=dict(queue.arguments)
        )
        for binding in BINDINGS:
            if binding.queue == queue.name:
                await declared.bind(binding.exchange, binding.routing_key)


def _version(connection: AbstractConnection) -> tuple[int, int]:
    """Return the broker's (major, minor), as it introduced itself."""
    transport = connection.transport
    properties = {} if transport is None else transport.connection.server_properties
    found = re.match(r"(\d+)\.(\d+)", str(properties.get("version", "")))
    if found is None:
        raise TopologyError("the broker did not say its version; RabbitMQ 3.10 or newer is needed")
    return int(found[1]), int(found[2])
