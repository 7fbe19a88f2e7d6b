"""The ledger's upper bound: rows of its kind into a table like it, and nothing else."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import psycopg

from shared.persistence.arrays import array_literal

_ROWS = 20_000
_BATCH = 1000
_TYPES = {
    "id": "text",
    "job_id": "text",
    "user_id": "text",
    "key_id": "text",
    "tier": "text",
    "operation": "text",
    "provider": "text",
    "model": "text",
    "price_id": "text",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "neurons": "numeric",
    "list_cost_usd": "numeric",
    "cost_usd": "numeric",
    "is_fallback": "boolean",
    "is_error": "boolean",
    "assumed": "boolean",
    "latency_ms": "integer",
    "occurred_at": "timestamptz",
}
_COLUMNS = ", ".join(_TYPES)


def raw_bounds(database: str) -> Mapping[str, float]:
    """Return rows a second by `COPY` and by `unnest`, a commit for every thousand."""
    batches = [_batch(first) for first in range(0, _ROWS, _BATCH)]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger_bound (LIKE ledger_entries INCLUDING ALL)")
        try:
            return {
                "raw COPY": _rate(partial(_copy, connection), batches),
                "raw unnest": _rate(partial(_insert, connection), batches),
            }
        finally:
            connection.execute("DROP TABLE ledger_bound")


def _rate(
    fill: Callable[[Sequence[Sequence[object]]], None],
    batches: Sequence[Sequence[Sequence[object]]],
) -> float:
    began = time.perf_counter()
    for batch in batches:
        fill(batch)
    return _ROWS / (time.perf_counter() - began)


def _batch(first: int) -> Sequence[Sequence[object]]:
    return [
        (
            f"att_{n:012x}{n:020x}",
            f"job_{n:012x}{n:020x}",
            f"bench-{n % 50}",
            f"bench-{n % 50}",
            "paid",
            "chat",
            "cloudflare",
            "@cf/meta/llama-3.1-8b-instruct-fast",
            "benchmark",
            500,
            300,
            "12.5",
            "0.0001375",
            "0.0001375",
            False,
            False,
            False,
            800 + n % 400,
            "2026-11-24T12:00:00Z",
        )
        for n in range(first, first + _BATCH)
    ]


def _copy(connection: psycopg.Connection, rows: Sequence[Sequence[object]]) -> None:
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    with connection.cursor().copy(f"COPY ledger_bound ({_COLUMNS}) FROM STDIN".encode()) as copy:
        copy.write(text)


def _insert(connection: psycopg.Connection, rows: Sequence[Sequence[object]]) -> None:
    arrays = ", ".join(f"%s::text::{kind}[]" for kind in _TYPES.values())
    ids, *columns = zip(*rows, strict=True)
    others = [f"{id_}-2" for id_ in ids]
    into = f"INSERT INTO ledger_bound ({_COLUMNS})"
    statement = f"{into} SELECT * FROM unnest({arrays})"  # noqa: S608 - our own columns
    connection.execute(statement.encode(), [array_literal(one) for one in (others, *columns)])
