from datetime import timedelta

import pytest

from shared.domain.outgoing import OutgoingMessage
from shared.messages.retries import delayed
from tests.support.chat_jobs import NOW

_COMMAND = OutgoingMessage("msg", "jobs", "chat.paid", b"{}")


@pytest.mark.parametrize(
    ("seconds", "exchange"),
    [(0, "retry.5s"), (5, "retry.5s"), (5.1, "retry.30s"), (120, "retry.2m"), (600, "retry.10m")],
)
def test_a_delay_climbs_the_lowest_rung_that_is_long_enough(seconds: float, exchange: str) -> None:
    later = delayed(_COMMAND, timedelta(seconds=seconds), NOW)
    assert later.available_at is None
    assert later.message == OutgoingMessage("msg", exchange, "chat.paid", b"{}")


def test_a_longer_delay_is_waited_for_in_the_outbox() -> None:
    later = delayed(_COMMAND, timedelta(seconds=601), NOW)
    assert later.message == _COMMAND
    assert later.available_at == NOW + timedelta(seconds=601)
