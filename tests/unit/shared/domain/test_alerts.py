from datetime import timedelta

from shared.domain.alerts import AlertKind, retry_delay


def test_a_refused_alert_is_tried_again_ever_later_for_about_a_day() -> None:
    delays = [retry_delay(AlertKind.THRESHOLD, attempts) for attempts in range(1, 31)]
    assert delays[-1] is None
    waited = [delay for delay in delays[:-1] if delay is not None]
    assert waited == sorted(waited)
    assert timedelta(hours=20) < sum(waited, timedelta(0)) < timedelta(hours=30)


def test_a_test_is_not_repeated() -> None:
    assert retry_delay(AlertKind.TEST, 1) is None
