"""Rows of two made-up price tables: one billed by the neuron, one by the token."""

from decimal import Decimal

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
