"""The bill: every call that produced tokens, also when the client went away.

Invariant: a call enters at its first token, with its input tokens in full and the output tokens
produced so far, and `total_usd` is exactly the sum of the rows.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from simulator.bill_file import BillFile
from simulator.bill_row import BillRow, decimal_string
from simulator.free_neurons import FreeNeurons
from simulator.json_values import JsonObject
from simulator.prices import USD_PER_NEURON, Price

_WRITE_WITHIN_SECONDS = 0.05


class Bill:
    """All rows in memory, each change also on disk.

    Args:
        home: Where the bill is kept.
        now: The time.
        free_neurons_per_day: How many neurons of a UTC day cost nothing.
    """

    def __init__(
        self,
        home: Path,
        now: Callable[[], datetime],
        free_neurons_per_day: Callable[[], Decimal] = Decimal,
    ) -> None:
        self._now = now
        self._file = BillFile(home / "bill.jsonl")
        self._rows = self._file.read()
        self._free = FreeNeurons(free_neurons_per_day)
        self._free.read_back(self._rows.values())
        self._total_usd = sum((row.cost_usd for row in self._rows.values()), Decimal(0))
        self._unwritten: set[str] = set()

    def charge(self, *, call_id: str, request_id: str, price: Price, input_tokens: int) -> "Charge":
        """Return the charge of one call; nothing is billed before it produces tokens."""
        row = BillRow(
            call_id=call_id,
            request_id=request_id,
            provider=price.provider,
            model=price.model,
            input_tokens=input_tokens,
            at=self._now(),
        )
        return Charge(self, row, price)

    def record(self, row: BillRow, cost_usd: Decimal, *, at_once: bool) -> None:
        """Take a row's new state, and write it now or within 50 ms."""
        is_new = row.call_id not in self._rows
        self._total_usd += cost_usd if is_new else cost_usd - row.cost_usd
        row.cost_usd = cost_usd
        self._rows[row.call_id] = row
        if at_once or is_new:
            self._unwritten.discard(row.call_id)
            self._file.append([row])
            return
        if not self._unwritten:
            asyncio.get_running_loop().call_later(_WRITE_WITHIN_SECONDS, self.write)
        self._unwritten.add(row.call_id)

    def count_neurons(self, row: BillRow, neurons: Decimal | None) -> None:
        """Set a row's neurons, and let the new ones be free as far as the day has some left."""
        if row.call_id not in self._rows:
            row.neurons, row.free_neurons = None, Decimal(0)
        if neurons is not None:
            produced = neurons - (row.neurons or 0)
            row.free_neurons += self._free.take(row.at.date(), produced)
        row.neurons = neurons

    def is_free_used_up(self) -> bool:
        """Tell whether nothing is left of the neurons that are free today."""
        return self._free.is_used_up(self._now().date())

    def write(self) -> None:
        """Write every state that is only in memory."""
        rows = [self._rows[call_id] for call_id in self._unwritten if call_id in self._rows]
        self._unwritten.clear()
        if rows:
            self._file.append(rows)

    def empty(self) -> JsonObject:
        """Forget every row, on disk too; return the empty bill."""
        self._rows.clear()
        self._free.forget()
        self._unwritten.clear()
        self._total_usd = Decimal(0)
        self._file.empty()
        return self.to_json()

    def to_json(self) -> JsonObject:
        """Return the wire form: all rows, oldest first, and their sum."""
        rows = [row.to_json() for row in self._rows.values()]
        return {"data": rows, "total_usd": decimal_string(self._total_usd)}

    def total_to_json(self) -> JsonObject:
        """Return the sum and the number of calls."""
        return {"total_usd": decimal_string(self._total_usd), "calls": len(self._rows)}

    def close(self) -> None:
        """Write what is left and close the file."""
        self.write()
        self._file.close()


class Charge:
    """One call's part of the bill."""

    def __init__(self, bill: Bill, row: BillRow, price: Price) -> None:
        self._bill = bill
        self._row = row
        self._price = price

    @property
    def input_tokens(self) -> int:
        """The tokens of the request."""
        return self._row.input_tokens

    @property
    def output_tokens(self) -> int:
        """The tokens produced so far."""
        return self._row.output_tokens

    @property
    def neurons(self) -> Decimal | None:
        """The neurons billed so far; None for a provider that has none."""
        return self._row.neurons

    def produced(self, output_tokens: int) -> None:
        """Bill the tokens produced so far, of an answer that goes on."""
        self._update(output_tokens, at_once=False)

    def ended(self, output_tokens: int, *, completed: bool) -> None:
        """Bill the final count."""
        self._row.completed = completed
        self._update(output_tokens, at_once=True)

    def _update(self, output_tokens: int, *, at_once: bool) -> None:
        row = self._row
        row.output_tokens = output_tokens
        self._bill.count_neurons(row, self._price.neurons(row.input_tokens, output_tokens))
        list_cost_usd = self._price.cost_usd(row.input_tokens, output_tokens)
        cost_usd = list_cost_usd - row.free_neurons * USD_PER_NEURON
        self._bill.record(row, cost_usd, at_once=at_once)
