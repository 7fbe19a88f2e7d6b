"""OpenAI embeddings, as floats or base64 of little-endian float32.

Limits (API reference, 2026-08): 2,048 items, 8,192 tokens each, 300,000 tokens a request, no empty
text.
"""

import base64
from dataclasses import dataclass

from simulator.answers import Answer
from simulator.behaviour import Mode
from simulator.exchange import Exchange
from simulator.json_values import JsonObject, is_array, is_integer
from simulator.prices import Price
from simulator.refusal import InvalidRequestError
from simulator.sending import compute, keep_silent, send_whole
from simulator.simulation import ModelCall
from simulator.tokens import count_tokens
from simulator.vectors import Vector, embed

_MOST_ITEMS = 2_048
_LONGEST_TOKENS = 8_192
_MOST_TOKENS = 300_000
_DEFAULT_DIMENSIONS = 1_536
_NOTHING = Answer([], "stop")


@dataclass(frozen=True, slots=True)
class _Item:
    text: str
    tokens: int


async def run_embeddings(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    """Answer one embeddings call."""
    items = _read_items(body)
    dimensions = _read_dimensions(body, call.price)
    is_base64 = _read_is_base64(body)
    if call.conduct.mode is Mode.SILENT:
        await keep_silent(exchange, streamed=False)
        return
    charge = call.charge(sum(item.tokens for item in items))
    await compute(_NOTHING, charge, call.conduct)
    answered = [] if call.conduct.mode is Mode.EMPTY else items
    vectors = [embed(item.text, dimensions) for item in answered]
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _encode(vector) if is_base64 else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": charge.input_tokens, "total_tokens": charge.input_tokens}
    answer = {"object": "list", "data": data, "model": call.model, "usage": usage}
    await send_whole(exchange, answer, call.conduct)


def _read_items(body: JsonObject) -> list[_Item]:
    items = [_read_item(item) for item in _given(body)]
    if not items or len(items) > _MOST_ITEMS:
        raise InvalidRequestError(f"'input' must hold 1 to {_MOST_ITEMS} items", "input")
    if any(item.tokens > _LONGEST_TOKENS for item in items):
        raise InvalidRequestError(f"an item of 'input' exceeds {_LONGEST_TOKENS} tokens", "input")
    if sum(item.tokens for item in items) > _MOST_TOKENS:
        raise InvalidRequestError(f"'input' exceeds {_MOST_TOKENS} tokens per request", "input")
    return items


def _given(body: JsonObject) -> list[object]:
    given = body.get("input")
    if isinstance(given, str):
        return [given]
    if not is_array(given):
        raise InvalidRequestError("'input' must be a string or an array", "input")
    is_one_item = bool(given) and all(is_integer(token) for token in given)
    return [given] if is_one_item else given


def _read_item(item: object) -> _Item:
    if isinstance(item, str) and item:
        return _Item(item, count_tokens(item))
    if is_array(item) and item and all(is_integer(token) for token in item):
        return _Item(" ".join(map(str, item)), len(item))
    raise InvalidRequestError("'input' must hold non-empty strings or token arrays", "input")


def _read_dimensions(body: JsonObject, price: Price) -> int:
    widest = price.dimensions or _DEFAULT_DIMENSIONS
    wanted = body.get("dimensions")
    if wanted is None:
        return widest
    if "ada-002" in price.model:
        raise InvalidRequestError(
            "This model does not support specifying dimensions.", "dimensions"
        )
    if not is_integer(wanted) or not 1 <= wanted <= widest:
        raise InvalidRequestError(f"'dimensions' must be 1 to {widest}", "dimensions")
    return wanted


def _read_is_base64(body: JsonObject) -> bool:
    wanted = body.get("encoding_format", "float")
    if wanted not in {"float", "base64"}:
        raise InvalidRequestError("'encoding_format' must be float or base64", "encoding_format")
    return wanted == "base64"


def _encode(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
