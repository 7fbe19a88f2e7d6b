"""The metric catalogue: every name with its unit, its meaning and what to do when it moves.

Invariant: a metric that is not listed here cannot be recorded, and no label has unbounded values —
no job, user or key ids.
"""

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CounterName = Literal[
    "sluiceway_http_requests_total",
    "sluiceway_jobs_accepted_total",
    "sluiceway_jobs_settled_total",
    "sluiceway_attempts_total",
    "sluiceway_ledger_entries_total",
    "sluiceway_cost_usd_total",
    "sluiceway_alerts_total",
    "sluiceway_alert_deliveries_total",
    "sluiceway_watch_resyncs_total",
    "sluiceway_frames_dropped_total",
    "sluiceway_circuit_moves_total",
    "sluiceway_unknown_provider_errors_total",
]
HistogramName = Literal[
    "sluiceway_http_request_seconds",
    "sluiceway_job_seconds",
    "sluiceway_attempt_seconds",
]
GaugeName = Literal[
    "sluiceway_watchers",
    "sluiceway_jobs_in_flight",
    "sluiceway_gate_open",
    "sluiceway_circuit_open",
    "sluiceway_ledger_drift_usd",
    "sluiceway_model_days_left",
    "sluiceway_model_list_stale",
]


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """One metric's description.

    Attributes:
        unit: What one step of the value is.
        meaning: What is measured.
        when_it_moves: What to look at, or do, when the value changes its course.
        labels: Names of its labels, each with a small closed set of values.
        buckets: A histogram's upper bounds.
    """

    unit: str
    meaning: str
    when_it_moves: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600)

COUNTERS: dict[CounterName, MetricEntry] = {
    "sluiceway_http_requests_total": MetricEntry(
        "requests",
        "HTTP requests answered.",
        "More 5xx: look for the request id in the logs. More 401: a key was revoked or leaked.",
        ("method", "route", "status"),
    ),
    "sluiceway_jobs_accepted_total": MetricEntry(
        "jobs",
        "Jobs made durable.",
        "Falling to zero while requests go on: the database refuses commits.",
        ("queue",),
    ),
    "sluiceway_jobs_settled_total": MetricEntry(
        "jobs",
        "Jobs that reached a final state.",
        "More `failed`: compare `sluiceway_attempts_total` by provider.",
        ("queue", "status"),
    ),
    "sluiceway_attempts_total": MetricEntry(
        "attempts",
        "Provider calls that ended.",
        "More `failed` of one provider: see its status page; more `unknown`: workers die.",
        ("provider", "model", "outcome"),
    ),
    "sluiceway_ledger_entries_total": MetricEntry(
        "entries",
        "Ledger entries that were new.",
        "Behind `sluiceway_attempts_total`: the aggregator lags; see `usage.ledger`.",
        ("provider",),
    ),
    "sluiceway_cost_usd_total": MetricEntry(
        "USD",
        "Money booked; the ledger is exact, this is a float for graphs.",
        "Faster than usual: read `GET /v1/admin/usage` by user.",
        ("provider",),
    ),
    "sluiceway_alerts_total": MetricEntry(
        "alerts",
        "Alerts: budget thresholds crossed, by their action; models that end, by their state.",
        "Any: read the alert; gates may be shut, or a model about to be.",
        ("action",),
    ),
    "sluiceway_alert_deliveries_total": MetricEntry(
        "deliveries",
        "Attempts to bring an alert to one channel.",
        "More `failed` or `given_up`: `GET /v1/admin/alerts` says which channel, and why.",
        ("outcome",),
    ),
    "sluiceway_watch_resyncs_total": MetricEntry(
        "reads",
        "Times a watcher had to read the database again.",
        "Many `gap` or `overflow`: chunks get lost between worker and client.",
        ("reason",),
    ),
    "sluiceway_frames_dropped_total": MetricEntry(
        "frames",
        "Frames a worker could not hand to the broker at once.",
        "Any: the broker is blocked or away.",
    ),
    "sluiceway_circuit_moves_total": MetricEntry(
        "moves",
        "Circuits that this process opened, or let recover or close.",
        "Any `open`: `GET /v1/admin/providers` says why and until when.",
        ("provider", "circuit", "state"),
    ),
    "sluiceway_unknown_provider_errors_total": MetricEntry(
        "errors",
        "Provider errors that no rule knows; their jobs fell back once.",
        "Any: find the code in the jobs' attempts, and add a rule for it.",
        ("provider",),
    ),
}
HISTOGRAMS: dict[HistogramName, MetricEntry] = {
    "sluiceway_http_request_seconds": MetricEntry(
        "seconds",
        "Time to answer an HTTP request.",
        "Slower: compare the database's commit time with the process's CPU.",
        ("route",),
        _FAST,
    ),
    "sluiceway_job_seconds": MetricEntry(
        "seconds",
        "Time from acceptance to the final state.",
        "Slower with steady attempts: the backlog grows; add workers.",
        ("queue",),
        _SLOW,
    ),
    "sluiceway_attempt_seconds": MetricEntry(
        "seconds",
        "Time of one provider call.",
        "Slower: the provider; consider a divert or another order of candidates.",
        ("provider",),
        _SLOW,
    ),
}
GAUGES: dict[GaugeName, MetricEntry] = {
    "sluiceway_watchers": MetricEntry(
        "connections",
        "Clients that watch a job over websocket or SSE.",
        "Growing without end: clients don't close after the last frame.",
    ),
    "sluiceway_jobs_in_flight": MetricEntry(
        "jobs",
        "Jobs a worker holds now.",
        "At the prefetch for long: add workers.",
        ("queue",),
    ),
    "sluiceway_gate_open": MetricEntry(
        "0 or 1",
        "Whether work may start on the queue.",
        "0: `GET /v1/admin/queues` says who shut it and why.",
        ("queue",),
    ),
    "sluiceway_circuit_open": MetricEntry(
        "0 or 1",
        "Whether a provider's model is let alone, or recovers; `*` stands for all its models.",
        "1: `GET /v1/admin/providers` says why and until when.",
        ("provider", "model", "circuit"),
    ),
    "sluiceway_ledger_drift_usd": MetricEntry(
        "USD",
        "Settled attempts minus ledger, without what is on its way; exact in the reconciliation.",
        "Not 0: `GET /v1/admin/reconciliation?full=true` names the side; see `dead.usage`.",
    ),
    "sluiceway_model_days_left": MetricEntry(
        "days",
        "Days until a routed model ends, by the process that checked; 0: gone, +Inf: no end known.",
        "Below 30: `GET /v1/admin/providers` has day and successor; route another model by then.",
        ("provider", "model"),
    ),
    "sluiceway_model_list_stale": MetricEntry(
        "0 or 1",
        "Whether the provider's list of models could not be read at the last check.",
        "1: `GET /v1/admin/providers` says why; ends of models may go unnoticed.",
        ("provider",),
    ),
}


class Metrics:
    """Records the catalogue's metrics for one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, entry.meaning, entry.labels, registry=self._registry)
            for name, entry in COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(
                name, entry.meaning, entry.labels, buckets=entry.buckets, registry=self._registry
            )
            for name, entry in HISTOGRAMS.items()
        }
        self._gauges = {
            name: Gauge(name, entry.meaning, entry.labels, registry=self._registry)
            for name, entry in GAUGES.items()
        }

    def count(self, name: CounterName, *labels: str, by: float = 1) -> None:
        """Add to a counter; labels in the catalogue's order."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def observe(self, name: HistogramName, value: float, *labels: str) -> None:
        """Record one measurement."""
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def show(self, name: GaugeName, value: float, *labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
