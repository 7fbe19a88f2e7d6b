"""Rows of two made-up price tables, one by the neuron, one by the token; shipped rows changed."""

import csv
from collections.abc import Collection
from datetime import date
from decimal import Decimal
from pathlib import Path

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.pricing import ModelKind, PriceRow

LLAMA = PriceRow(
    provider=CLOUDFLARE,
    model="llama",
    kind=ModelKind.CHAT,
    input_usd_per_million=Decimal("0.045"),
    output_usd_per_million=Decimal("0.384"),
    neurons_per_million_input=Decimal(4119),
    neurons_per_million_output=Decimal(34868),
)
LUNA = PriceRow(
    provider=OPENAI,
    model="luna",
    kind=ModelKind.CHAT,
    input_usd_per_million=Decimal("0.1"),
    output_usd_per_million=Decimal("0.5"),
)
_SHIPPED = Path(__file__).parents[2] / "prices"


def write_prices_with_end(folder: Path, models: Collection[str], end: date) -> Path:
    """Write the shipped price files into a new folder, with a day on which some models end."""
    folder.mkdir()
    for file in (_SHIPPED / "cloudflare.csv", _SHIPPED / "openai.csv"):
        with file.open(encoding="utf-8", newline="") as read:
            lines = [*csv.DictReader(read)]
        for line in lines:
            if line["model"] in models:
                line["retired_on"] = end.isoformat()
        with (folder / file.name).open("w", encoding="utf-8", newline="") as written:
            writer = csv.DictWriter(written, lines[0])
            writer.writeheader()
            writer.writerows(lines)
    return folder
