"""The list of models of OpenAI, and of every server with its API; only OpenAI tells end dates.

The raw answer is read, because the SDK takes anything for a model. Invariant: the list is whole or
an error.
"""

from collections.abc import Sequence

import openai
from openai import AsyncOpenAI

from shared.domain.catalog import OPENAI, Operation, Provider
from shared.domain.model_states import ListedModel
from shared.providers.errors import own_error
from shared.providers.json_reading import (
    MalformedAnswerError,
    decode_object,
    is_array,
    is_object,
)
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.model_lists import MOST_BYTES, end_date, list_limits, whole_list
from shared.providers.openai_errors import sdk_error


class OpenAIModelCatalogue:
    """Implements `ModelCatalogue`."""

    def __init__(
        self, client: AsyncOpenAI, limits: TimeLimits, provider: Provider = OPENAI
    ) -> None:
        self._client = client
        self._limits = list_limits(limits)
        self._provider = provider

    async def list_models(self) -> Sequence[ListedModel]:
        """Return every model that answers; one that has been shut down is not among them.

        Raises:
            ProviderTransientError: The list could not be read.
            ProviderPermanentError: The server says that the request is wrong.
        """
        deadline = Deadline(self._limits)
        try:
            async with deadline.waiting():
                response = await self._client.models.with_raw_response.list()
            return whole_list(_models(response.content))
        except TimeoutError as error:
            raise own_error(self._provider, deadline.code) from error
        except MalformedAnswerError as error:
            raise own_error(self._provider, "malformed") from error
        except openai.OpenAIError as error:
            raise sdk_error(error, Operation.CHAT) from error


def _models(content: bytes) -> Sequence[ListedModel]:
    if len(content) > MOST_BYTES:
        raise MalformedAnswerError("an answer too large for a list")
    body = decode_object(content)
    items = body.get("data")
    if not is_array(items) or body.get("has_more") is True:
        raise MalformedAnswerError("an answer without models, or with a part of them")
    return [_model(item) for item in items]


def _model(item: object) -> ListedModel:
    name = item.get("id") if is_object(item) else None
    if not is_object(item) or not isinstance(name, str):
        raise MalformedAnswerError("a model without an id")
    return ListedModel(name, end_date(item.get("shutdown_date")))
