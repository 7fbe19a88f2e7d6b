"""One attempt's call: the provider's stream turned into chunks and into an outcome to settle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import assert_never

from services.inference_worker.use_cases.answer_stream import AnswerStream
from services.inference_worker.use_cases.chat_calls import chat_call
from shared.domain.catalog import Provider
from shared.domain.errors import (
    ProviderFailure,
    ProviderPermanentError,
    ProviderTransientError,
)
from shared.domain.ids import AttemptId
from shared.domain.jobs import AttemptOutcome
from shared.domain.pricing import PriceRow, charge
from shared.domain.provider_calls import ChatFinished, Meter, TextDelta
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.domain.views import HEDGE_LOST, ErrorView
from shared.domain.work import AttemptResult
from shared.messages.requests import ChatRequest
from shared.ports.admission import Admitted
from shared.ports.providers import ChatModel


@dataclass(frozen=True, slots=True)
class Answered:
    """The provider finished its answer."""

    finished: ChatFinished


@dataclass(frozen=True, slots=True)
class Broke:
    """The provider failed."""

    failure: ProviderFailure


CallOutcome = Answered | Broke


@dataclass(frozen=True, slots=True)
class Overtaken:
    """The call was closed, because the one beside it answered first.

    Attributes:
        usage: What it had consumed by then.
        was_called: False when the other one was first even before the provider was called.
    """

    usage: TokenUsage = NO_USAGE
    provider_request_id: str | None = None
    was_called: bool = True


class CallProvider:
    """Calls the provider of a candidate."""

    def __init__(self, models: Mapping[Provider, ChatModel]) -> None:
        self._models = models

    async def __call__(
        self,
        admitted: Admitted,
        request: ChatRequest,
        attempt_id: AttemptId,
        answer: AnswerStream,
        meter: Meter | None = None,
    ) -> CallOutcome:
        """Stream the answer into `answer`; a provider's failure is an outcome, not an error.

        When this is cancelled the call is closed, and `meter` is told what it had consumed.
        """
        candidate = admitted.candidate
        asked = chat_call(candidate, request, attempt_id)
        call = replace(asked, credential=admitted.credential, meter=meter)
        finished: ChatFinished | None = None
        try:
            async for event in self._models[candidate.provider].stream(call):
                match event:
                    case TextDelta(text):
                        await answer.add(text)
                    case ChatFinished():
                        finished = event
                    case _:
                        assert_never(event)
        except (ProviderTransientError, ProviderPermanentError) as error:
            await answer.flush()
            return Broke(error.failure)
        finally:
            await answer.close()
        if finished is None:
            raise AssertionError("a stream ends with ChatFinished or with a provider error")
        return Answered(finished)


def result_of(outcome: CallOutcome | Overtaken, row: PriceRow) -> AttemptResult:
    """Return the outcome with its cost: what was consumed is charged, also by a failed call."""
    match outcome:
        case Answered(finished):
            return _result(
                AttemptOutcome.SUCCEEDED,
                row,
                finished.usage,
                finished.provider_request_id,
                model_answered=finished.model_answered,
            )
        case Broke(failure):
            return _result(
                AttemptOutcome.FAILED,
                row,
                failure.usage,
                failure.provider_request_id,
                error=ErrorView(failure.code, failure.message),
            )
        case Overtaken(usage, request_id):
            return _result(
                AttemptOutcome.FAILED,
                row,
                usage,
                request_id,
                error=ErrorView(HEDGE_LOST, "another candidate answered first"),
            )
        case _:
            assert_never(outcome)


def _result(
    outcome: AttemptOutcome,
    row: PriceRow,
    usage: TokenUsage,
    request_id: str | None,
    *,
    model_answered: str | None = None,
    error: ErrorView | None = None,
) -> AttemptResult:
    cost = charge(row, usage)
    return AttemptResult(
        outcome=outcome,
        usage=usage,
        neurons=cost.neurons or Decimal(0),
        cost_usd=cost.cost_usd,
        model_answered=model_answered,
        provider_request_id=request_id,
        error=error,
        allowance=cost.allowance,
    )
