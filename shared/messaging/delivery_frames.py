"""Takes deliveries out of the bytes that RabbitMQ sends, many at a time.

AMQP 0-9-1: a frame is a type, a channel, a length, that many bytes, and 0xCE. A delivery is a
method frame, a header frame, and as many body frames as its body needs. Only what every message
needs is decoded; the rest stays bytes until somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from pamqp.commands import Basic
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

_HEAD: Final = Struct(">BHI")
_TAG: Final = Struct(">Q")
_END: Final = 0xCE
_LARGEST: Final = 16 * 1024 * 1024
"""Of a frame: RabbitMQ's are 128 KiB unless told otherwise."""
_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_DELIVER: Final = b"\x00\x3c\x00\x3c"
_CONSUMER_AT = 11
"""Where a deliver frame's consumer tag begins with its length; the delivery tag follows it."""
_BODY_SIZE_AT = 11


class BrokenStreamError(ConnectionError):
    """The broker sent bytes that are no AMQP frame."""


class Delivery(NamedTuple):
    """A message as it came; its tag counts on the connection it came from."""

    tag: int
    body: bytes
    method_frame: bytes
    header_frame: bytes

    @property
    def routing_key(self) -> str:
        """Return what it was published with."""
        found = unmarshal(self.method_frame)[2]
        return (isinstance(found, Basic.Deliver) and found.routing_key) or ""

    @property
    def message_id(self) -> str:
        """Return the publisher's id; empty when it gave none."""
        found = unmarshal(self.header_frame)[2]
        properties = found.properties if isinstance(found, ContentHeader) else None
        return (properties.message_id if properties else None) or ""


@dataclass(slots=True)
class _Begun:
    """A delivery whose body is not whole yet."""

    tag: int
    method_frame: bytes
    header_frame: bytes = b""
    body_size: int = 0
    body: bytes = b""


class DeliveryFrames:
    """Cuts a stream of bytes into deliveries and other method frames."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun: _Begun | None = None
        self._deliveries: list[Delivery] = []
        self._methods: list[bytes] = []

    def feed(self, data: bytes) -> tuple[Sequence[Delivery], Sequence[bytes]]:
        """Return the deliveries that are whole now, and method frames of any other kind.

        Raises:
            BrokenStreamError: These are no frames.
        """
        self._deliveries, self._methods = [], []
        stream = self._rest + data if self._rest else data
        at, length = 0, len(stream)
        while length - at > _HEAD.size:
            kind, _, size = _HEAD.unpack_from(stream, at)
            if size > _LARGEST:
                raise BrokenStreamError(f"a frame of {size} bytes is none of AMQP's")
            end = at + _HEAD.size + size
            if end >= length:
                break
            if stream[end] != _END:
                raise BrokenStreamError(f"the broker's frame of {size} bytes has no end")
            self._take(kind, stream[at : end + 1])
            at = end + 1
        self._rest = stream[at:]
        return self._deliveries, self._methods

    def _take(self, kind: int, frame: bytes) -> None:
        if kind == _METHOD:
            self._take_method(frame)
        elif kind == _HEARTBEAT:
            return
        elif self._begun is None:
            raise BrokenStreamError(f"a content frame of type {kind} belongs to no delivery")
        elif kind == _HEADER:
            self._begun.header_frame = frame
            (self._begun.body_size,) = _TAG.unpack_from(frame, _BODY_SIZE_AT)
            self._finish(self._begun)
        elif kind == _BODY:
            self._begun.body += frame[_HEAD.size : -1]
            self._finish(self._begun)

    def _take_method(self, frame: bytes) -> None:
        if frame[_HEAD.size : _CONSUMER_AT] != _DELIVER:
            self._methods.append(frame)
            return
        (tag,) = _TAG.unpack_from(frame, _CONSUMER_AT + 1 + frame[_CONSUMER_AT])
        self._begun = _Begun(tag, frame)

    def _finish(self, begun: _Begun) -> None:
        if len(begun.body) >= begun.body_size:
            self._deliveries.append(
                Delivery(begun.tag, begun.body, begun.method_frame, begun.header_frame)
            )
            self._begun = None
