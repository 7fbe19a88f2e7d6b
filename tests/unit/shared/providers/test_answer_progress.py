from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.errors import ProviderTransientError
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import ChatCall, ChatMessage
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.providers.answer_progress import AnswerProgress


def _progress(*tokens: str) -> AnswerProgress:
    call = ChatCall(AttemptId("a"), "m", [ChatMessage("user", "word")], 64)
    progress = AnswerProgress(CLOUDFLARE, call)
    for token in tokens:
        progress.add_text(token)
    return progress


def test_text_is_taken_once() -> None:
    progress = _progress("a", "b")

    assert progress.take_text() == "ab"
    assert progress.take_text() == ""


def test_nothing_produced_is_nothing_consumed() -> None:
    progress = _progress()
    progress.report(TokenUsage(147, 0))

    assert progress.consumed() == NO_USAGE


def test_a_report_that_came_before_the_cut_counts_for_the_input() -> None:
    progress = _progress("a", "b")
    progress.report(TokenUsage(147, 0, Decimal("1.3")))

    assert progress.consumed() == TokenUsage(147, 2)


def test_reasoning_is_billed_though_it_has_no_text() -> None:
    progress = _progress()
    progress.add_reasoning()
    progress.finish_reason = "length"

    with pytest.raises(ProviderTransientError) as caught:
        progress.finished()

    assert caught.value.failure.code == "empty_answer"
    assert caught.value.failure.usage == TokenUsage(5, 1)


def test_a_total_that_was_reported_is_taken_as_it_is() -> None:
    progress = _progress("a", "b", "c")
    progress.report(TokenUsage(12, 2, Decimal("0.1")))
    progress.is_ended = True

    assert progress.finished().usage == TokenUsage(12, 2, Decimal("0.1"))
