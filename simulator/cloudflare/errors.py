"""Cloudflare's error answers: one envelope, told apart by `errors[0].code`.

Invariant: codes, statuses and wording are the captured or documented ones, as clients match on
them.
"""

from datetime import date

from simulator.control import Mode
from simulator.json_values import JsonObject
from simulator.prices import Price
from simulator.refusal import RefusalError

_TOO_MANY = {
    Mode.RATE_LIMITED: (
        3021,
        "AiError: AiError: rate limiting: inference request per min rate reached (0a1b2c3d)",
    ),
    Mode.NO_CAPACITY: (3040, "Capacity temporarily exceeded, please try again."),
    Mode.QUOTA: (3036, "you have used up your daily free allocation of 10,000 neurons"),
}


def failure(status: int, code: int, message: str) -> RefusalError:
    """Return an error of the AI platform."""
    payload: JsonObject = {
        "errors": [{"message": message, "code": code}],
        "success": False,
        "result": {},
        "messages": [],
    }
    return RefusalError(status, payload)


def unauthorized() -> RefusalError:
    """Return the answer to a missing or wrong token: `result` is null."""
    payload: JsonObject = {
        "result": None,
        "success": False,
        "errors": [{"code": 10000, "message": "Authentication error"}],
        "messages": [],
    }
    return RefusalError(401, payload)


def no_route() -> RefusalError:
    """Return the answer to a path that does not exist."""
    return failure(
        404, 7003, "Could not route to that path, perhaps your object identifier is invalid?"
    )


def unknown_model(model: str) -> RefusalError:
    """Return the answer to a model nobody offers."""
    return failure(400, 5007, f"AiError: No such model {model} or task")


def retired(price: Price, today: date) -> RefusalError:
    """Return the answer to a model that was shut down."""
    since = price.retired_on or today
    return failure(
        410, 5028, f"AiError: Model has been deprecated: {price.model} was deprecated on {since}"
    )


def invalid(message: str) -> RefusalError:
    """Return the answer to a request that does not fit the model's schema."""
    return failure(400, 8001, f"AiError: Invalid input: {message}")


def over_window(tokens: int, limit: int) -> RefusalError:
    """Return the answer to input and `max_tokens` that together exceed the model's window."""
    return failure(
        413,
        5021,
        f"AiError: Ai: The estimated number of input and maximum output tokens ({tokens}) "
        f"exceeded this model context window limit ({limit}).",
    )


def over_embedding_budget(tokens: int, limit: int) -> RefusalError:
    """Return the answer to an embedding call whose padded size exceeds the model's budget."""
    return failure(
        400,
        3030,
        f"AiError: Max context reached {tokens} tokens but model supports only {limit}",
    )


def fault(mode: Mode, price: Price, today: date) -> RefusalError | None:
    """Return the answer of a mode that refuses every call, None for the others."""
    match mode:
        case Mode.DOWN:
            return RefusalError(503, b"error code: 503")
        case Mode.UNAUTHORIZED:
            return unauthorized()
        case Mode.RETIRED:
            return retired(price, today)
        case _ if mode in _TOO_MANY:
            return failure(429, *_TOO_MANY[mode])
        case _:
            return None
