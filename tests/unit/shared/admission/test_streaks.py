from shared.admission.streaks import Streaks
from shared.domain.catalog import CLOUDFLARE


def _outcomes(streaks: Streaks, outcomes: str) -> list[bool]:
    """Note outcomes, `x` for a failure; tell after each failure whether they are many."""
    found: list[bool] = []
    for outcome in outcomes:
        if outcome == "x":
            found.append(streaks.failed(CLOUDFLARE, "llama"))
        else:
            streaks.answered(CLOUDFLARE, "llama")
    return found


def test_five_failures_in_a_row_are_many() -> None:
    assert _outcomes(Streaks(), "xxxxx") == [False, False, False, False, True]


def test_an_answer_ends_a_row() -> None:
    assert not any(_outcomes(Streaks(), "xxxx.xxxx."))


def test_twelve_failures_among_twenty_are_many() -> None:
    assert _outcomes(Streaks(), "xxx.xxx.xxx.xxx")[-1]


def test_a_fifth_of_failures_is_bad_luck() -> None:
    assert not any(_outcomes(Streaks(), "x...." * 200))


def test_after_many_the_count_begins_anew() -> None:
    streaks = Streaks()
    _outcomes(streaks, "xxxxx")
    assert not any(_outcomes(streaks, "xxxx"))


def test_models_are_counted_apart() -> None:
    streaks = Streaks()
    _outcomes(streaks, "xxxx")
    assert not streaks.failed(CLOUDFLARE, "gemma")


def test_what_is_forgotten_does_not_count() -> None:
    streaks = Streaks()
    _outcomes(streaks, "xxxx")
    streaks.forget(CLOUDFLARE, "llama")
    assert not streaks.failed(CLOUDFLARE, "llama")
