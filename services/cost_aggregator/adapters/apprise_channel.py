"""Slack, e-mail, webhooks and a hundred more, through Apprise.

Apprise addresses carry their secrets. Invariant: no address leaves this module, and log lines of
Apprise and of what it calls, which may quote one, are not written; a channel is known by its kind
and a fingerprint. Apprise blocks: each message goes from a thread, which its socket timeouts bound.
It is loaded only where there is an address: that takes 0.4 s.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from shared.domain.alerts import Alert
from shared.domain.errors import AlertNotDeliveredError

_NEXT_ADDRESS = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_TALKATIVE = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")
_MOST_SECONDS = 30.0
_FINGERPRINT_DIGITS = 6


class _Sender(Protocol):
    """What is used of Apprise."""

    def add(self, services: str) -> bool:
        """Take an address; False when it is none."""
        ...

    def notify(self, body: str, title: str, notify_type: str) -> object:
        """Send; something true when it was taken."""
        ...


class AppriseChannel:
    """Implements `AlertChannel` for one address."""

    def __init__(self, name: str, address: str, most_seconds: float = _MOST_SECONDS) -> None:
        self.name = name
        self._address = address
        self._most_seconds = most_seconds

    async def send(self, alert: Alert) -> None:
        """Send the alert from a thread.

        Raises:
            AlertNotDeliveredError: The service did not take it, or not in time.
        """
        try:
            async with asyncio.timeout(self._most_seconds):
                is_taken = await asyncio.to_thread(_notify, self._address, alert)
        except TimeoutError:
            raise AlertNotDeliveredError(
                f"{self.name} did not answer within {self._most_seconds:g} s"
            ) from None
        if not is_taken:
            raise AlertNotDeliveredError(f"{self.name} did not take the message")


def open_channels(addresses: str) -> Sequence[AppriseChannel]:
    """Return a channel per address; they are separated by spaces or commas.

    Raises:
        ValueError: Apprise does not know an address; the message says which by its position.
    """
    if not addresses.strip():
        return []
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    channels: list[AppriseChannel] = []
    for position, address in enumerate(_NEXT_ADDRESS.split(addresses.strip()), start=1):
        if not _sender().add(address):
            raise ValueError(f"SLUICEWAY_ALERT_URLS: Apprise does not know address {position}")
        channels.append(AppriseChannel(_name(address), address))
    return list({channel.name: channel for channel in channels}.values())


def _name(address: str) -> str:
    kind = address.partition("://")[0].lower()
    return f"{kind}-{sha256(address.encode()).hexdigest()[:_FINGERPRINT_DIGITS]}"


def _notify(address: str, alert: Alert) -> bool:
    sender = _sender()
    sender.add(address)
    return bool(
        sender.notify(body=alert.message, title=f"Sluiceway: {alert.kind}", notify_type="warning")
    )


def _sender() -> _Sender:
    import apprise  # noqa: PLC0415 - see the module's docstring

    return apprise.Apprise()
