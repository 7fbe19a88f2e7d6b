"""What many finished jobs have in common: who answered, how often in place of another, how fast."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.messages.frames import JobCompleted


@dataclass(frozen=True, slots=True)
class Summary:
    """Finished jobs at a glance; times run from the job's acceptance to its end."""

    jobs: int
    jobs_by_provider: Mapping[str, int]
    fallbacks: int
    p50_ms: float
    p95_ms: float
    cost_usd: Decimal


def summarize(completed: Sequence[JobCompleted]) -> Summary:
    """Return the summary of at least one job.

    Raises:
        ValueError: There is none.
    """
    latencies = [job.latency_ms for job in completed]
    return Summary(
        jobs=len(completed),
        jobs_by_provider=dict(Counter(job.provider for job in completed).most_common()),
        fallbacks=sum(job.is_fallback for job in completed),
        p50_ms=percentile(latencies, 50),
        p95_ms=percentile(latencies, 95),
        cost_usd=sum((job.cost_usd for job in completed), Decimal(0)),
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least `percent` of all values do not exceed.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values have no percentile")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]
