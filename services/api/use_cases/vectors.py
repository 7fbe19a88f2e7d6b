"""Vectors as JSON: little-endian float32 in the database, shortest decimal form on the wire."""

from collections.abc import Mapping

import numpy as np
import orjson

from shared.domain.embedding_space import EmbeddingSpace


def embeddings_json(space: EmbeddingSpace, vectors: Mapping[int, bytes]) -> bytes:
    """Return `{embedding_space, dimensions, data: [{index, embedding}]}`, by position.

    Args:
        space: Whose vectors they are.
        vectors: `space.dimensions` little-endian float32 values by position.
    """
    data = [
        {"index": position, "embedding": np.frombuffer(vectors[position], dtype="<f4")}
        for position in sorted(vectors)
    ]
    return orjson.dumps(
        {"embedding_space": space.id, "dimensions": space.dimensions, "data": data},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
