import pytest

from shared.observability.metrics import COUNTERS, GAUGES, HISTOGRAMS, MetricEntry, Metrics

EVERY_ENTRY: list[tuple[str, MetricEntry]] = [
    *COUNTERS.items(),
    *GAUGES.items(),
    *HISTOGRAMS.items(),
]


@pytest.mark.parametrize(("name", "entry"), EVERY_ENTRY)
def test_every_metric_says_what_to_do_when_it_moves(name: str, entry: MetricEntry) -> None:
    assert name.startswith("sluiceway_")
    assert entry.unit
    assert entry.meaning.endswith(".")
    assert entry.when_it_moves.endswith(".")


def test_what_is_recorded_is_shown() -> None:
    metrics = Metrics()
    metrics.count("sluiceway_jobs_accepted_total", "chat.free", by=2)
    metrics.count("sluiceway_frames_dropped_total")
    metrics.observe("sluiceway_attempt_seconds", 0.3, "openai")
    metrics.show("sluiceway_watchers", 4)
    metrics.show("sluiceway_gate_open", 1, "chat.free")
    shown = metrics.render().decode()
    assert 'sluiceway_jobs_accepted_total{queue="chat.free"} 2.0' in shown
    assert "sluiceway_frames_dropped_total 1.0" in shown
    assert 'sluiceway_attempt_seconds_bucket{le="0.5",provider="openai"} 1.0' in shown
    assert "sluiceway_watchers 4.0" in shown


def test_labels_must_be_complete() -> None:
    with pytest.raises(ValueError, match="label"):
        Metrics().count("sluiceway_jobs_settled_total", "chat.free")
