from datetime import UTC, datetime, timedelta, timezone

from services.inference_worker.policies.nights import is_night

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def _begins(worker: str, day: datetime) -> int:
    """Return the first second of a day in which the worker may check."""
    return next(
        second for second in range(86_400) if is_night(worker, day + timedelta(seconds=second))
    )


def test_a_night_begins_between_five_past_and_thirty_five_past_midnight() -> None:
    for worker in ("worker-1", "worker-2", "worker-3"):
        assert 5 * 60 <= _begins(worker, MIDNIGHT) < 35 * 60


def test_workers_and_days_differ() -> None:
    moments = {
        _begins(worker, MIDNIGHT + timedelta(days=day))
        for worker in ("worker-1", "worker-2")
        for day in range(2)
    }
    assert len(moments) == 4


def test_once_begun_it_stays_until_the_day_is_over() -> None:
    assert is_night("worker-1", MIDNIGHT + timedelta(hours=23, minutes=59))


def test_days_are_those_of_utc() -> None:
    local = (MIDNIGHT + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=9)))
    assert not is_night("worker-1", local)
