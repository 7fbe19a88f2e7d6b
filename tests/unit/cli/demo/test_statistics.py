from decimal import Decimal

import pytest

from cli.demo.statistics import percentile, summarize
from shared.domain.ids import JobId
from shared.messages.frames import JobCompleted, UsageFrame


def _completed(provider: str, latency_ms: int) -> JobCompleted:
    return JobCompleted(
        job_id=JobId("job_1"),
        result=None,
        usage=UsageFrame(input_tokens=1, output_tokens=2),
        cost_usd=Decimal("0.1"),
        provider=provider,
        model="a-model",
        is_fallback=provider == "openai",
        latency_ms=latency_ms,
    )


def test_a_summary_counts_providers_and_fallbacks_and_adds_up_money() -> None:
    jobs = [_completed("cloudflare", 10), _completed("openai", 30), _completed("cloudflare", 20)]
    summary = summarize(jobs)
    assert summary.jobs_by_provider == {"cloudflare": 2, "openai": 1}
    assert (summary.jobs, summary.fallbacks, summary.cost_usd) == (3, 1, Decimal("0.3"))
    assert (summary.p50_ms, summary.p95_ms) == (20, 30)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 10), (95, 19), (99, 20), (100, 20)])
def test_a_percentile_is_one_of_the_values(percent: int, value: int) -> None:
    assert percentile(list(range(20, 0, -1)), percent) == value


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
