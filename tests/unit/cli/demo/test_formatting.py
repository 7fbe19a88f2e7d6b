from decimal import Decimal

import pytest

from cli.demo.formatting import duration, last_words, one_line, provider_name, share, usd


def test_an_amount_keeps_every_digit() -> None:
    assert usd(Decimal("0.002246109235")) == "$0.002246109235"


def test_a_tiny_amount_has_no_exponent() -> None:
    assert usd(Decimal("1E-9")) == "$0.000000001"


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(7, "7 ms"), (999, "999 ms"), (1000, "1.00 s"), (2263, "2.26 s")]
)
def test_a_duration_has_a_unit_that_fits(milliseconds: float, shown: str) -> None:
    assert duration(milliseconds) == shown


@pytest.mark.parametrize(("part", "whole", "shown"), [(9, 30, "30 %"), (0, 30, "0 %")])
def test_a_share_is_in_percent(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_a_share_of_nothing_is_zero() -> None:
    assert share(0, 0) == "0 %"


def test_an_unknown_provider_keeps_its_name() -> None:
    assert (provider_name("openai"), provider_name("elsewhere")) == ("OpenAI", "elsewhere")


def test_a_long_text_is_cut_to_the_width() -> None:
    assert one_line("one two\n  three four", 9) == "one two…"


def test_a_text_that_fits_is_only_flattened() -> None:
    assert one_line("one\n two", 9) == "one two"
    assert last_words("one\n two", 9) == "one two"


def test_a_text_in_the_making_shows_its_end() -> None:
    shown = last_words("one two three four", 8)
    assert shown == "…ee four"
    assert len(shown) == 8
