"""Reads a budget threshold as the command line writes it."""

from decimal import Decimal, InvalidOperation

from cli.api_client import JsonObject


def parse_threshold(text: str) -> JsonObject:
    """Return the threshold that `AT_USD:ACTION[:QUEUE,QUEUE]` means.

    Raises:
        ValueError: It has another form.
    """
    at_usd, *rest = text.split(":")
    try:
        amount = Decimal(at_usd)
    except InvalidOperation:
        raise ValueError(f"{text!r}: {at_usd!r} is no amount in USD") from None
    match rest:
        case [action] if action:
            return {"at_usd": str(amount), "action": action}
        case [action, queues] if action and queues:
            return {"at_usd": str(amount), "action": action, "queues": [*queues.split(",")]}
        case _:
            raise ValueError(f"{text!r}: expected AT_USD:ACTION[:QUEUE,QUEUE]")
