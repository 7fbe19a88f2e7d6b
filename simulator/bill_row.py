"""One row of the bill and its wire form.

Invariant: `from_json(row.to_json())` is the row; amounts are decimal strings, never floats.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from simulator.clock import aware
from simulator.json_values import JsonObject


@dataclass(slots=True)
class BillRow:
    """What one call cost; changes while its tokens are produced.

    `free_neurons` are those of its neurons that cost nothing.
    """

    call_id: str
    request_id: str
    provider: str
    model: str
    input_tokens: int
    at: datetime
    output_tokens: int = 0
    neurons: Decimal | None = None
    free_neurons: Decimal = Decimal(0)
    cost_usd: Decimal = Decimal(0)
    completed: bool = False

    def to_json(self) -> JsonObject:
        """Return the wire form."""
        return {
            "call_id": self.call_id,
            "request_id": self.request_id,
            "provider": self.provider,
            "model": self.model,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "neurons": None if self.neurons is None else decimal_string(self.neurons),
            "free_neurons": decimal_string(self.free_neurons),
            "cost_usd": decimal_string(self.cost_usd),
            "completed": self.completed,
            "at": self.at.isoformat(),
        }


def from_json(value: JsonObject) -> BillRow:
    """Return the row of a wire form.

    Raises:
        KeyError: a field is missing.
        ValueError: a field cannot be read.
    """
    neurons = value["neurons"]
    return BillRow(
        call_id=str(value["call_id"]),
        request_id=str(value["request_id"]),
        provider=str(value["provider"]),
        model=str(value["model"]),
        input_tokens=int(str(value["input_tokens"])),
        at=aware(str(value["at"])),
        output_tokens=int(str(value["output_tokens"])),
        neurons=None if neurons is None else Decimal(str(neurons)),
        free_neurons=Decimal(str(value.get("free_neurons", 0))),
        cost_usd=Decimal(str(value["cost_usd"])),
        completed=value["completed"] is True,
    )


def decimal_string(amount: Decimal) -> str:
    """Return plain digits without exponent or trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
