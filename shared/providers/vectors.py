"""Turns what providers send as vectors into the bytes we keep.

Invariant: as many vectors as texts, each of the wanted width, finite, little-endian float32.
"""

import base64
import binascii
from collections.abc import Sequence

import numpy as np

from shared.providers.json_reading import MalformedAnswerError


def vectors_from_numbers(rows: object, count: int, dimensions: int) -> Sequence[bytes]:
    """Return the vectors of `count` arrays of numbers.

    Raises:
        MalformedAnswerError: The count, a width or a number is wrong.
    """
    try:
        matrix = np.asarray(rows, dtype="<f4")
    except (ValueError, TypeError):
        raise MalformedAnswerError("vectors are no numbers or of unequal width") from None
    if matrix.shape != (count, dimensions):
        raise MalformedAnswerError(f"vectors have shape {matrix.shape}, not {(count, dimensions)}")
    if not np.isfinite(matrix).all():
        raise MalformedAnswerError("a vector holds a number that is not finite")
    return [row.tobytes() for row in matrix]


def vectors_from_base64(texts: Sequence[str], count: int, dimensions: int) -> Sequence[bytes]:
    """Return the vectors of `count` base64 texts, each of little-endian float32.

    Raises:
        MalformedAnswerError: The count, a width or a number is wrong.
    """
    try:
        rows = [np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4") for text in texts]
    except (binascii.Error, ValueError):
        raise MalformedAnswerError("vectors are not base64 of float32") from None
    return vectors_from_numbers(rows, count, dimensions)
