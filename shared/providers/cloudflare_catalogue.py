"""Cloudflare's list of models, page by page.

Invariant: the list is whole or an error, so that no model seems gone because a page was; what its
end date cannot be read of makes the list unreadable, because a warning would fail silently else.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import count

import httpx

from shared.domain.catalog import CLOUDFLARE, Operation
from shared.domain.model_states import ListedModel
from shared.providers.cloudflare_connection import CloudflareConnection, refused, transport_code
from shared.providers.errors import own_error
from shared.providers.json_reading import (
    JsonObject,
    MalformedAnswerError,
    count_of,
    decode_object,
    is_array,
    is_object,
    object_at,
)
from shared.providers.limits import Deadline, TimeLimits
from shared.providers.model_lists import MOST_BYTES, MOST_MODELS, end_date, list_limits, whole_list

_PER_PAGE = 100
_TOO_MANY = MOST_MODELS + 1
_END = "planned_deprecation_date"


class CloudflareModelCatalogue:
    """Implements `ModelCatalogue`."""

    def __init__(self, connection: CloudflareConnection, limits: TimeLimits) -> None:
        self._connection = connection
        self._limits = list_limits(limits)

    async def list_models(self) -> Sequence[ListedModel]:
        """Return every model, those included that Cloudflare has retired, with the day it did.

        Raises:
            ProviderTransientError: The list could not be read.
            ProviderPermanentError: Cloudflare says that the request is wrong.
        """
        deadline = Deadline(self._limits)
        with _translated(deadline):
            return whole_list(await self._pages(deadline))

    async def _pages(self, deadline: Deadline) -> Sequence[ListedModel]:
        """Read pages until their total is there or one brings nothing new.

        Cloudflare promises neither totals nor the size of a page.
        """
        found: dict[str, ListedModel] = {}
        for number in count(1):
            page = await self._page(number, deadline)
            models, before = _models(page), len(found)
            found.update((model.model, model) for model in models)
            total = count_of(object_at(page, "result_info").get("total_count"))
            if len(found) == before:
                _check_end(models, total - len(found))
                break
            if len(found) >= min(total or _TOO_MANY, _TOO_MANY):
                break
        return [*found.values()]

    async def _page(self, number: int, deadline: Deadline) -> JsonObject:
        query = {
            "include_deprecated": "true",
            "per_page": str(_PER_PAGE),
            "page": str(number),
        }
        async with self._connection.list_models(query, deadline) as response:
            deadline.answered()
            content = bytearray()
            async with deadline.waiting():
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise MalformedAnswerError("a page too large for a list")
        page = decode_object(bytes(content))
        if page.get("success") is False:
            raise refused(Operation.CHAT, response, page)
        return page


def _check_end(models: Sequence[ListedModel], left: int) -> None:
    """Make sure that the last page is the end, and not a page that comes again and again."""
    if models and left > 0:
        raise MalformedAnswerError(f"pages that repeat, with {left} models left")


def _models(page: JsonObject) -> Sequence[ListedModel]:
    items = page.get("result")
    if not is_array(items):
        raise MalformedAnswerError("a page without models")
    return [_model(item) for item in items]


def _model(item: object) -> ListedModel:
    name = item.get("name") if is_object(item) else None
    if not is_object(item) or not isinstance(name, str):
        raise MalformedAnswerError("a model without a name")
    return ListedModel(name, _retires_on(item))


def _retires_on(item: JsonObject) -> date | None:
    properties = item.get("properties")
    for one in properties if is_array(properties) else ():
        if is_object(one) and one.get("property_id") == _END:
            return end_date(one.get("value"))
    return end_date(item.get(_END))


@contextmanager
def _translated(deadline: Deadline) -> Generator[None]:
    try:
        yield
    except MalformedAnswerError as error:
        raise own_error(CLOUDFLARE, "malformed") from error
    except TimeoutError as error:
        raise own_error(CLOUDFLARE, deadline.code) from error
    except httpx.HTTPError as error:
        raise own_error(CLOUDFLARE, transport_code(error, has_begun=False)) from error
