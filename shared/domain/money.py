"""Money is a `Decimal` of US dollars, exact from price row to ledger, rounded only when shown."""

from decimal import Decimal

ZERO_USD = Decimal(0)


def decimal_string(amount: Decimal) -> str:
    """Return the wire form: plain digits, no exponent, no trailing zeros (`"0.000138"`)."""
    text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if text not in {"-0", ""} else "0"
