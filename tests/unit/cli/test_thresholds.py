import pytest

from cli.thresholds import parse_threshold


def test_a_threshold_has_an_amount_and_an_action() -> None:
    assert parse_threshold("1.50:alert") == {"at_usd": "1.50", "action": "alert"}


def test_a_threshold_may_name_queues() -> None:
    assert parse_threshold("2:pause:chat.free,embed.bulk") == {
        "at_usd": "2",
        "action": "pause",
        "queues": ["chat.free", "embed.bulk"],
    }


@pytest.mark.parametrize("text", ["", "1", "x:pause", "1:", "1:pause:", "1:pause:a:b"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|amount"):
        parse_threshold(text)
