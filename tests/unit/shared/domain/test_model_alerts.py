from datetime import UTC, date, datetime, timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.model_alerts import ModelAlert, alert_about
from shared.domain.model_states import ModelState, ModelStatus
from shared.domain.routes import Candidate

TODAY = date(2026, 11, 22)
CHECKED = datetime(2026, 11, 22, 0, 7, tzinfo=UTC)
GEMMA = Candidate(CLOUDFLARE, "gemma")


def status(state: ModelState, days: int | None = None) -> ModelStatus:
    ends = None if days is None else TODAY + timedelta(days=days)
    return ModelStatus(OPENAI, "luna", state, ends, CHECKED)


def alert(
    state: ModelState, days: int | None = None, successor: Candidate | None = None
) -> ModelAlert:
    found = alert_about(status(state, days), successor, TODAY)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("days", "step"), [(30, "30d"), (8, "30d"), (7, "7d"), (2, "7d"), (1, "1d")]
)
def test_a_model_that_ends_is_told_at_the_latest_step_it_passed(days: int, step: str) -> None:
    assert alert(ModelState.RETIRING, days).step == step


def test_the_last_day_says_one_day() -> None:
    assert "retires on 2026-11-23, in 1 day; " in alert(ModelState.RETIRING, 1).message


def test_the_day_on_which_a_model_ends_is_the_occasion() -> None:
    occasion = datetime(2026, 11, 29, tzinfo=UTC)
    assert alert(ModelState.RETIRING, 7).occasion == occasion


def test_a_retired_model_is_told_with_its_day() -> None:
    told = alert(ModelState.RETIRED, -2)
    assert (told.step, told.occasion) == ("retired", datetime(2026, 11, 20, tzinfo=UTC))
    assert told.message.startswith("model openai/luna is retired since 2026-11-20; ")


def test_a_missing_model_has_no_day_of_its_own() -> None:
    told = alert(ModelState.MISSING, 9)
    assert (told.step, told.occasion) == ("missing", None)
    assert told.message.startswith("model openai/luna is no longer in openai's list of models; ")


@pytest.mark.parametrize("state", [ModelState.LISTED, ModelState.UNKNOWN])
def test_a_model_that_stays_is_not_told(state: ModelState) -> None:
    assert alert_about(status(state), GEMMA, TODAY) is None


def test_an_alert_says_who_takes_over_or_that_nobody_does() -> None:
    with_successor = alert(ModelState.RETIRED, 0, GEMMA).message
    assert "its successor cloudflare/gemma takes over" in with_successor
    assert "no successor is configured: " in alert(ModelState.RETIRED, 0).message
