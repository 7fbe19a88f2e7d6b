from decimal import Decimal

from services.inference_worker.use_cases.turns import Run, Turn
from shared.domain.catalog import OPENAI
from shared.domain.claims import NoRoom
from shared.domain.pricing import ModelKind, PriceRow
from shared.domain.routes import Candidate
from tests.support.chat_world import ARM, command


def _turn(name: str, hold: int, *, is_fallback: bool = True) -> Turn:
    row = PriceRow(
        provider=OPENAI,
        model=name,
        kind=ModelKind.CHAT,
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(1),
    )
    return Turn(Candidate(OPENAI, name), row, Decimal(hold), is_fallback)


def _run() -> Run:
    turns = [_turn("dear", 3, is_fallback=False), _turn("middle", 2), _turn("cheap", 1)]
    return Run(command(), turns, ARM)


def _names(run: Run) -> list[str]:
    return [turn.candidate.model for turn in run.turns]


def test_a_diverted_run_asks_the_cheapest_first_which_is_no_fallback() -> None:
    run = _run()
    run.divert()
    assert _names(run) == ["cheap", "middle", "dear"]
    assert [turn.is_fallback for turn in run.turns] == [False, True, True]
    assert run.hold_usd == 1


def test_a_run_diverted_midway_has_only_fallbacks_left() -> None:
    run = _run()
    run.go_on(1, None)
    run.divert()
    assert _names(run) == ["cheap", "middle"]
    assert [turn.is_fallback for turn in run.turns] == [True, True]


def test_a_run_without_candidates_left_remembers_what_the_last_one_needed() -> None:
    run = _run()
    for scope in ("provider:a", "provider:b", "provider:c"):
        run.skip(NoRoom(scope, None))
    assert run.turns == []
    assert run.no_room == NoRoom("provider:c", None)
    assert run.hold_usd == 1


def test_a_successor_that_is_asked_already_is_not_asked_beside() -> None:
    run = _run()
    dear = run.turns[0]
    run.turns = [dear, _turn("dear", 3), _turn("cheap", 1)]
    assert [turn.candidate.model for turn in run.others_beside] == ["cheap"]


def test_nobody_succeeds_a_candidate_without_a_successor() -> None:
    run = _run()
    assert not run.succeed()
    assert _names(run) == ["dear", "middle", "cheap"]


def test_who_lost_a_race_may_be_asked_after_who_won_it() -> None:
    run = _run()
    first, second, third = run.turns
    run.hang_on(second, None)
    assert run.turns == [second, first, third]
    assert run.hold_usd == second.hold_usd


def test_who_failed_in_a_race_is_not_asked_again() -> None:
    run = _run()
    first, second, third = run.turns
    run.hang_on(second, first)
    assert run.turns == [second, third]
    run.hang_on(second, third, is_gone=True)
    assert run.turns == [second]
