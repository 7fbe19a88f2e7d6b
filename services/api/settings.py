"""The API's limits: how much one request may bring and how stale a cached answer may be."""

from dataclasses import dataclass, field
from datetime import timedelta

MAX_TEXT_BYTES = 32 * 1024
MAX_DOCUMENTS = 1_000
MAX_INPUTS = 2_048
MAX_OUTPUT_TOKENS = 8_192
DEFAULT_OUTPUT_TOKENS = 512
MAX_TOOLS = 128
MAX_TOOLS_BYTES = 256 * 1024
"""Of all tools of a chat together."""
MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_DEPTH = 32
"""Levels of objects and arrays in one JSON schema."""


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds that a test may want to move.

    Attributes:
        body_bytes: A larger request body is refused.
        key_age: How long a revoked key may still work.
        gate_age: How long a gate that has just moved may go unnoticed.
        alert_patience: How long a test of the alert channels waits for their outcome.
        search_patience: How long a search waits for its query's vector.
    """

    body_bytes: int = 8 * 1024 * 1024
    key_age: timedelta = field(default=timedelta(seconds=1))
    gate_age: timedelta = field(default=timedelta(seconds=1))
    alert_patience: timedelta = field(default=timedelta(seconds=40))
    search_patience: timedelta = field(default=timedelta(seconds=30))
