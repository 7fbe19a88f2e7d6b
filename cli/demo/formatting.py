"""How the demo writes amounts, times and texts; amounts are exact, everything else is rounded."""

from decimal import Decimal

from shared.domain.money import decimal_string

_NAME_BY_PROVIDER = {"cloudflare": "Cloudflare", "openai": "OpenAI"}
_MILLISECONDS_PER_SECOND = 1000


def usd(amount: Decimal) -> str:
    """Return an exact amount (`$0.000138`)."""
    return f"${decimal_string(amount)}"


def duration(milliseconds: float) -> str:
    """Return a duration to two or three digits (`85 ms`, `1.24 s`)."""
    if milliseconds < _MILLISECONDS_PER_SECOND:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / _MILLISECONDS_PER_SECOND:.2f} s"


def share(part: int, whole: int) -> str:
    """Return a part in percent (`30 %`); of nothing, zero."""
    return f"{100 * part / whole if whole else 0:.0f} %"


def provider_name(provider: str) -> str:
    """Return a provider's name as it writes itself."""
    return _NAME_BY_PROVIDER.get(provider, provider)


def one_line(text: str, width: int) -> str:
    """Return the beginning of a text on one line of at most `width` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def last_words(text: str, width: int) -> str:
    """Return the end of a text that is still being written, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else "…" + flat[-(width - 1) :]
