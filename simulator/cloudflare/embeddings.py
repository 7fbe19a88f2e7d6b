"""Cloudflare embedding models.

bge-m3 pads every text of a call to the longest: its limit of 60,000 tokens is count times longest
(production rejections of 2026), and it bills the padded tokens and names no `usage`.
"""

from dataclasses import dataclass

from simulator.answers import Answer
from simulator.behaviour import Mode
from simulator.bill import Charge
from simulator.cloudflare import errors
from simulator.cloudflare.dialects import priced_usage
from simulator.cloudflare.envelope import send_result
from simulator.exchange import Exchange
from simulator.json_values import JsonObject, is_text_array
from simulator.prices import Price
from simulator.refusal import InvalidRequestError
from simulator.sending import compute, keep_silent
from simulator.simulation import ModelCall
from simulator.tokens import count_tokens
from simulator.vectors import embed

_MOST_TEXTS = 100
_PADDED_BUDGET_TOKENS = 60_000
_LONGEST_TRUNCATED_TOKENS = 8_192
_DEFAULT_DIMENSIONS = 1_024
_FIELDS = ("text", "queries", "documents")
_PADDED_MODEL = "bge-m3"
_NO_USAGE = ("embeddinggemma", "plamo")
_NOTHING = Answer([], "stop")


@dataclass(frozen=True, slots=True)
class _Texts:
    texts: list[str]
    input_tokens: int


async def run_embeddings(exchange: Exchange, call: ModelCall, body: JsonObject) -> None:
    """Answer one embedding call."""
    request = _read(body, call.price)
    if call.conduct.mode is Mode.SILENT:
        await keep_silent(exchange, streamed=False)
        return
    charge = call.charge(request.input_tokens)
    await compute(_NOTHING, charge, call.conduct)
    texts = [] if call.conduct.mode is Mode.EMPTY else request.texts
    dimensions = call.price.dimensions or _DEFAULT_DIMENSIONS
    vectors = [embed(text, dimensions) for text in texts]
    result: JsonObject = {"shape": [len(vectors), dimensions], "data": vectors}
    await send_result(exchange, call, charge, result | _details(call.price, charge))


def _read(body: JsonObject, price: Price) -> _Texts:
    given = next((body[field] for field in _FIELDS if field in body), None)
    texts = [given] if isinstance(given, str) else given
    if not is_text_array(texts) or not texts or not all(texts):
        raise InvalidRequestError("text must be a string or a non-empty array of non-empty strings")
    if len(texts) > _MOST_TEXTS:
        raise InvalidRequestError(f"text must not contain more than {_MOST_TEXTS} items")
    lengths = [count_tokens(text) for text in texts]
    if _PADDED_MODEL in price.model:
        return _Texts(texts, _padded(lengths, is_truncated=body.get("truncate_inputs") is True))
    window = price.context_tokens or _LONGEST_TRUNCATED_TOKENS
    return _Texts(texts, sum(min(length, window) for length in lengths))


def _padded(lengths: list[int], *, is_truncated: bool) -> int:
    longest = min(max(lengths), _LONGEST_TRUNCATED_TOKENS) if is_truncated else max(lengths)
    tokens = longest * len(lengths)
    if tokens > _PADDED_BUDGET_TOKENS:
        raise errors.over_embedding_budget(tokens, _PADDED_BUDGET_TOKENS)
    return tokens


def _details(price: Price, charge: Charge) -> JsonObject:
    if _PADDED_MODEL in price.model:
        meta: JsonObject = {
            "cost_metric_name_1": "input_tokens",
            "cost_metric_value_1": charge.input_tokens,
            "neurons": float(charge.neurons or 0),
        }
        return {"pooling": "cls", "response": None, "meta": meta}
    if any(name in price.model for name in _NO_USAGE):
        return {"pooling": "mean"}
    usage: JsonObject = {"usage": priced_usage(price, charge.input_tokens, 0)}
    return usage if "qwen3" in price.model else usage | {"pooling": "mean"}
