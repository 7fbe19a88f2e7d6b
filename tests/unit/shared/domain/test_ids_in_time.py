from datetime import UTC, datetime

from shared.domain.ids_in_time import first_id_at, month_start, next_month
from shared.system import RandomIds, SystemClock


def test_ids_lie_where_their_time_is() -> None:
    clock = SystemClock()
    before = first_id_at(clock.now())
    made = RandomIds().new("att")
    assert before <= made < first_id_at(clock.now().replace(year=2100))


def test_months_follow_each_other() -> None:
    december = month_start(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert december == datetime(2026, 12, 1, tzinfo=UTC)
    assert next_month(december) == datetime(2027, 1, 1, tzinfo=UTC)
    assert first_id_at(december) < first_id_at(next_month(december))
