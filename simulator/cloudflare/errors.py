"""Cloudflare's error answers: one envelope, told apart by `errors[0].code`.

Invariant: codes, statuses and wording are the captured or documented ones, as clients match on
them; what a request did wrong is named in the message.
"""

from dataclasses import replace
from datetime import date

from simulator.behaviour import Mode
from simulator.cloudflare.known_errors import KNOWN_ERRORS
from simulator.conduct import Conduct
from simulator.prices import Price
from simulator.refusal import RefusalError

_NAME_BY_MODE = {
    Mode.DOWN: "503",
    Mode.UNAUTHORIZED: "10000",
    Mode.RATE_LIMITED: "3021",
    Mode.NO_CAPACITY: "3040",
    Mode.QUOTA: "3036",
    Mode.ERROR: "500",
}


def failure(name: str, message: str | None = None) -> RefusalError:
    """Return a known error, worded anew if there is a message."""
    error = KNOWN_ERRORS[name]
    return (replace(error, message=message) if message else error).refusal()


def unauthorized() -> RefusalError:
    """Return the answer to a missing or wrong token: `result` is null."""
    return failure("10000")


def no_route() -> RefusalError:
    """Return the answer to a path that does not exist."""
    return failure("7003")


def unknown_model(model: str) -> RefusalError:
    """Return the answer to a model nobody offers."""
    return failure("5007", f"AiError: No such model {model} or task")


def retired(price: Price, today: date) -> RefusalError:
    """Return the answer to a model that was shut down."""
    since = price.retired_on or today
    return failure(
        "5028", f"AiError: Model has been deprecated: {price.model} was deprecated on {since}"
    )


def invalid(message: str) -> RefusalError:
    """Return the answer to a request that does not fit the model's schema."""
    return failure("8001", f"AiError: Invalid input: {message}")


def over_window(tokens: int, limit: int) -> RefusalError:
    """Return the answer to input and `max_tokens` that together exceed the model's window."""
    return failure(
        "5021",
        f"AiError: Ai: The estimated number of input and maximum output tokens ({tokens}) "
        f"exceeded this model context window limit ({limit}).",
    )


def over_embedding_budget(tokens: int, limit: int) -> RefusalError:
    """Return the answer to an embedding call whose padded size exceeds the model's budget."""
    return failure(
        "3030", f"AiError: Max context reached {tokens} tokens but model supports only {limit}"
    )


def fault(conduct: Conduct, price: Price, today: date) -> RefusalError | None:
    """Return the answer of a mode that refuses every call, None for the others."""
    mode = conduct.mode
    if mode is Mode.OK:
        return None
    if mode is Mode.RETIRED:
        return retired(price, today)
    name = _NAME_BY_MODE.get(mode)
    if mode is Mode.ERROR and conduct.error:
        name = conduct.error
    return failure(name) if name else None
