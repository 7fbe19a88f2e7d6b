from datetime import timedelta

from shared.messaging.acknowledgement import LAST_ROUND, rung_of_round


def test_rounds_climb_the_ladder_from_five_seconds_to_ten_minutes() -> None:
    delays = [rung_of_round(number).delay for number in range(1, LAST_ROUND + 1)]
    assert delays == sorted(delays)
    assert delays[0] == timedelta(seconds=5)
    assert delays[-1] == timedelta(minutes=10)


def test_an_outage_of_an_hour_dead_letters_nothing() -> None:
    rounds = range(1, LAST_ROUND + 1)
    assert sum((rung_of_round(n).delay for n in rounds), timedelta()) > timedelta(hours=1)
