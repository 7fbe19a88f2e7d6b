"""Vectors as a `halfvec[]` parameter in PostgreSQL's binary format.

One numpy conversion for the whole batch: as text, a vector of 1,024 numbers costs 50 times as much.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_ARRAY_HEADER = struct.Struct(">iiIii")
_VECTOR_HEADER_BYTES = 4
_ELEMENT_TYPE_KEY = "sluiceway.halfvec"
_ELEMENT_TYPE = text("SELECT CAST(CAST('halfvec' AS regtype) AS oid)")


@dataclass(frozen=True, slots=True)
class HalfVectors:
    """At least one vector of little-endian float32, all of one width, for a `halfvec[]` parameter.

    Attributes:
        element_type: The database's number for the type `halfvec`.
    """

    vectors: Sequence[bytes]
    element_type: int


class _HalfVectorsDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: HalfVectors) -> bytes:
        return encoded(obj)


def encoded(batch: HalfVectors) -> bytes:
    """Return the array in binary: its header, then each vector's size, header and half floats.

    Raises:
        ValueError: The vectors differ in width.
    """
    count = len(batch.vectors)
    width = len(batch.vectors[0]) // 4
    element = np.dtype(
        [("size", ">i4"), ("width", ">i2"), ("unused", ">i2"), ("values", ">f2", (width,))]
    )
    rows = np.zeros(count, dtype=element)
    rows["size"] = _VECTOR_HEADER_BYTES + 2 * width
    rows["width"] = width
    rows["values"] = np.frombuffer(b"".join(batch.vectors), dtype="<f4").reshape(count, width)
    return _ARRAY_HEADER.pack(1, 0, batch.element_type, count, 1) + rows.tobytes()


async def half_vectors(connection: AsyncConnection, vectors: Sequence[bytes]) -> HalfVectors:
    """Return the vectors as a parameter for this connection, after preparing it once."""
    element_type: object = connection.info.get(_ELEMENT_TYPE_KEY)
    if not isinstance(element_type, int):
        element_type = await _prepared(connection)
        connection.info[_ELEMENT_TYPE_KEY] = element_type
    return HalfVectors(vectors, element_type)


async def _prepared(connection: AsyncConnection) -> int:
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, psycopg.AsyncConnection):
        raise TypeError("half vectors need a connection of psycopg")
    driver.adapters.register_dumper(HalfVectors, _HalfVectorsDumper)
    element_type: int = (await connection.execute(_ELEMENT_TYPE)).scalar_one()
    return element_type
