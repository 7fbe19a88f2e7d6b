from collections.abc import Generator
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from aio_pika import Message
from aio_pika.abc import AbstractRobustChannel
from pydantic import TypeAdapter

from shared.domain.errors import BrokerUnavailableError, TopologyError
from shared.messaging.declaration import declare, is_declared
from shared.messaging.topology import BINDINGS, EXCHANGES, POLICIES, QUEUES
from tests.support.messaging import ask_management, taken

pytestmark = pytest.mark.integration

Rows = TypeAdapter(list[dict[str, object]])


def _virtual_host(amqp_url: str) -> str:
    return urlsplit(amqp_url).path.removeprefix("/")


def _rows(management_url: str, amqp_url: str, kind: str) -> dict[object, dict[str, object]]:
    path = f"/api/{kind}/{_virtual_host(amqp_url)}"
    rows = Rows.validate_python(ask_management(management_url, "GET", path))
    return {row["name"]: row for row in rows}


@pytest.fixture
def odd_url(amqp_url: str, management_url: str) -> Generator[str]:
    path = quote("odd / 100% host?", safe="")
    ask_management(management_url, "PUT", f"/api/vhosts/{path}")
    yield urlunsplit(urlsplit(amqp_url)._replace(path=f"/{path}"))
    ask_management(management_url, "DELETE", f"/api/vhosts/{path}")


async def test_declaring_twice_changes_nothing(declared_url: str, management_url: str) -> None:
    queues = _rows(management_url, declared_url, "queues").keys()
    await declare(declared_url, management_url)
    assert _rows(management_url, declared_url, "queues").keys() == queues
    assert queues == {queue.name for queue in QUEUES}


async def test_every_exchange_exists(declared_url: str, management_url: str) -> None:
    found = _rows(management_url, declared_url, "exchanges")
    assert {(each.name, each.kind) for each in EXCHANGES} <= {
        (name, row["type"]) for name, row in found.items()
    }


async def test_every_policy_is_accepted_by_this_broker(
    declared_url: str, management_url: str
) -> None:
    found = _rows(management_url, declared_url, "policies")
    assert found.keys() == {policy.name for policy in POLICIES}


async def test_bindings_route_every_key(channel: AbstractRobustChannel) -> None:
    topics = [each for each in BINDINGS if not each.exchange.startswith("retry.")]
    for number, binding in enumerate(topics):
        exchange = await channel.get_exchange(binding.exchange, ensure=False)
        key = binding.routing_key.replace("#", "anything")
        await exchange.publish(Message(str(number).encode()), key)
        assert (await taken(channel, binding.queue)).body == str(number).encode()


async def test_a_retried_message_returns_to_its_queue_under_its_key(
    channel: AbstractRobustChannel,
) -> None:
    exchange = await channel.get_exchange("retry.5s", ensure=False)
    await exchange.publish(Message(b"again", message_id="m1"), "chat.paid")
    message = await taken(channel, "chat.paid")
    assert (message.message_id, message.routing_key) == ("m1", "chat.paid")


async def test_a_virtual_host_may_have_any_name(odd_url: str, management_url: str) -> None:
    await declare(odd_url, management_url)
    assert _rows(management_url, odd_url, "policies").keys() == {each.name for each in POLICIES}


async def test_without_the_management_api_nothing_is_declared(amqp_url: str) -> None:
    with pytest.raises(TopologyError, match="RABBITMQ_MANAGEMENT_URL"):
        await declare(amqp_url, None)


async def test_a_dead_broker_is_unavailable(management_url: str) -> None:
    with pytest.raises(BrokerUnavailableError, match="topology"):
        await declare("amqp://guest:guest@127.0.0.1:9/", management_url)


async def test_a_dead_management_api_is_named(amqp_url: str) -> None:
    with pytest.raises(BrokerUnavailableError, match="RABBITMQ_MANAGEMENT_URL"):
        await declare(amqp_url, "http://127.0.0.1:9")


async def test_a_refused_policy_stops_the_declaration(amqp_url: str, management_url: str) -> None:
    stranger = urlsplit(management_url)
    netloc = f"stranger:wrong@{stranger.hostname}:{stranger.port}"
    with pytest.raises(TopologyError, match="401"):
        await declare(amqp_url, urlunsplit(stranger._replace(netloc=netloc)))


async def test_a_queue_with_other_properties_is_named(
    declared_url: str, management_url: str, channel: AbstractRobustChannel
) -> None:
    await channel.queue_delete("chat.free")
    await channel.declare_queue("chat.free", durable=True, arguments={"x-queue-type": "classic"})
    with pytest.raises(TopologyError, match=r"chat\.free"):
        await declare(declared_url, management_url)


async def test_a_broker_is_declared_once_every_queue_stands(
    amqp_url: str, management_url: str
) -> None:
    assert not await is_declared(amqp_url)
    await declare(amqp_url, management_url)
    assert await is_declared(amqp_url)


async def test_a_broker_that_is_not_there_is_not_declared() -> None:
    assert not await is_declared("amqp://127.0.0.1:9/")
