"""Rows as CSV, streamed: an export takes the same memory however long it is.

A cell that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP advises
(CSV injection, read 2026-11): users choose their own names.
"""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, JsonValue

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_AT_ONCE = 500


def wants_csv(request: Request, form: str | None) -> bool:
    """Tell whether a caller asked for CSV, by `format` or by `Accept`."""
    return form == "csv" or (form is None and "text/csv" in request.headers.get("accept", ""))


async def csv_answer(
    name: str, columns: Sequence[str], rows: AsyncIterator[BaseModel]
) -> StreamingResponse:
    """Return rows as a file; the first is read before the answer begins, so that it may fail."""
    first = await anext(rows, None)
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    body = _body(columns, first, rows)
    return StreamingResponse(body, media_type="text/csv; charset=utf-8", headers=headers)


async def _body(
    columns: Sequence[str], first: BaseModel | None, rows: AsyncIterator[BaseModel]
) -> AsyncIterator[str]:
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(columns)
    if first is not None:
        writer.writerow(_cells(columns, first))
    count = 1
    async for row in rows:
        writer.writerow(_cells(columns, row))
        count += 1
        if count % _AT_ONCE == 0:
            yield lines.getvalue()
            lines.seek(0)
            lines.truncate()
    yield lines.getvalue()


def _cells(columns: Sequence[str], row: BaseModel) -> Sequence[str]:
    values: Mapping[str, JsonValue] = row.model_dump(mode="json")
    typed = row.model_dump(include={*columns})
    return [_cell(values.get(name), is_text=isinstance(typed.get(name), str)) for name in columns]


def _cell(value: JsonValue, *, is_text: bool) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if is_text and text.startswith(_FORMULA) else text
