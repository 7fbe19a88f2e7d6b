"""Deterministic embeddings that are near for texts that share words.

Each word is hashed onto 32 signed coordinates; a text is the sum over its words, scaled to unit
length (feature hashing, Weinberger et al. 2009). Words that carry no meaning of their own are left
out.
Invariant: same text and dimensions, same vector, on every machine.
"""

import re
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

_WORD = re.compile(r"\w+")
_HASH_BYTES = 64
_SIGN_BIT = 15
_COORDINATE_MASK = 0x7FFF
_DECIMALS = 6
_MINOR_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an and are as at be but by for from had has have he her his i if in into is it its me my
        no not of on or our she so than that the their them then there these they this to was we
        were what when which who why will with you your
        """,
    ),
)


def embed(text: str, dimensions: int) -> Vector:
    """Return the `(dimensions,)` float32 unit vector of a text, rounded to six decimals."""
    words = _WORD.findall(text.lower())
    telling = [word for word in words if word not in _MINOR_WORDS] or words or [text]
    codes = np.frombuffer(b"".join(map(_hash_word, telling)), dtype="<u2")
    signs = 1.0 - 2.0 * (codes >> _SIGN_BIT)
    summed = np.bincount(
        (codes & _COORDINATE_MASK) % dimensions, weights=signs, minlength=dimensions
    )
    length = float(np.sqrt(summed @ summed))
    if length == 0.0:
        summed[0] = length = 1.0
    return np.round(summed / length, _DECIMALS).astype(np.float32)


@lru_cache(maxsize=65_536)
def _hash_word(word: str) -> bytes:
    return blake2b(_stem(word).encode(), digest_size=_HASH_BYTES).digest()


def _stem(word: str) -> str:
    """Drop a plural ending, so that `jobs` and `job` are one word."""
    is_plural = len(word) > len("gas") and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if is_plural else word
