from datetime import UTC, timedelta

from shared.system import RandomIds, SystemClock


def test_the_clock_is_in_utc() -> None:
    first, second = SystemClock().now(), SystemClock().now()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first < timedelta(minutes=1)


def test_the_monotonic_clock_never_steps_back() -> None:
    readings = [SystemClock().monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_ids_are_unique_and_name_what_they_are() -> None:
    made = [RandomIds().new("job") for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(one.startswith("job_") and len(one) == len("job_") + 32 for one in made)


def test_ids_sort_by_the_millisecond_they_were_made_in() -> None:
    made = [RandomIds().new("job")[: len("job_") + 12] for _ in range(1000)]
    assert made == sorted(made)
