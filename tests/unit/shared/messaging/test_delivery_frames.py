import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from shared.messaging.delivery_frames import BrokenStreamError, Delivery, DeliveryFrames

_ALIVE = Heartbeat().marshal()


def _deliver(tag: int) -> Basic.Deliver:
    return Basic.Deliver(
        "consumer-1", tag, redelivered=False, exchange="events", routing_key="usage.chat"
    )


def _delivery(tag: int, body: bytes, frame_size: int = 5) -> bytes:
    parts = [body[at : at + frame_size] for at in range(0, len(body), frame_size)]
    return b"".join(
        [
            marshal(_deliver(tag), 1),
            marshal(
                ContentHeader(
                    body_size=len(body), properties=Basic.Properties(message_id=f"m{tag}")
                ),
                1,
            ),
            *(marshal(ContentBody(part), 1) for part in parts),
        ]
    )


def _told(delivery: Delivery) -> tuple[int, bytes, str, str]:
    return delivery.tag, delivery.body, delivery.routing_key, delivery.message_id


@given(
    st.lists(st.binary(max_size=20), max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=10),
)
def test_deliveries_are_whole_however_the_bytes_arrive(
    bodies: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(_delivery(tag, body) + _ALIVE for tag, body in enumerate(bodies, start=1))
    frames, found, at, turn = DeliveryFrames(), list[Delivery](), 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        deliveries, methods = frames.feed(stream[at : at + size])
        found += deliveries
        assert methods == []
        at, turn = at + size, turn + 1
    assert [_told(one) for one in found] == [
        (tag, body, "usage.chat", f"m{tag}") for tag, body in enumerate(bodies, start=1)
    ]


def test_other_methods_are_handed_on() -> None:
    answer = marshal(Basic.QosOk(), 1)
    deliveries, methods = DeliveryFrames().feed(_ALIVE + answer + _delivery(7, b"seven"))
    assert [one.tag for one in deliveries] == [7]
    assert methods == [answer]


def test_a_message_without_id_has_none() -> None:
    method = marshal(_deliver(1), 1)
    header = marshal(ContentHeader(body_size=0, properties=Basic.Properties()), 1)
    ((delivery,), _) = DeliveryFrames().feed(method + header)
    assert (delivery.message_id, delivery.body) == ("", b"")


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100_000,
        b"\x01\x00\x01\x00\x00\x00\x01xy",
        marshal(ContentBody(b"body"), 1),
    ],
)
def test_what_is_no_delivery_is_refused(stream: bytes) -> None:
    with pytest.raises(BrokenStreamError):
        DeliveryFrames().feed(stream)
