"""What a request weighs before it is answered: its input and the most it may be answered with.

Invariant: never fails; a request that cannot be read weighs nothing, and is refused later.
"""

from simulator.chat_request import read_chat
from simulator.json_values import JsonObject, is_array
from simulator.refusal import InvalidRequestError
from simulator.tokens import count_tokens

_TEXTS = ("input", "text", "queries", "documents")


def asked_tokens(body: JsonObject | None) -> int:
    """Return the tokens a request asks for."""
    if body is None:
        return 0
    given = next((body[name] for name in _TEXTS if name in body), None)
    return _asked_by_chat(body) if given is None else _count(given)


def _asked_by_chat(body: JsonObject) -> int:
    try:
        request = read_chat(body)
    except InvalidRequestError:
        return 0
    return request.input_tokens + (request.max_tokens or 0)


def _count(given: object) -> int:
    if isinstance(given, str):
        return count_tokens(given)
    return sum(_count(item) for item in given) if is_array(given) else 1
