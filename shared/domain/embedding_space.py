"""An embedding space: vectors are comparable inside one and never across two."""

from dataclasses import dataclass

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.ids import SpaceId


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Everything that decides what a vector means.

    Attributes:
        id: Short stable name, also the partition's suffix (`bge-m3`).
        provider: Whose model.
        model: The provider's model name.
        revision: Which weights; a silent change upstream is a new revision, hence a new space.
        dimensions: Length of every vector.
        normalised: Whether vectors have unit length.
        prefix: Text put before every input, empty for none.
    """

    id: SpaceId
    provider: Provider
    model: str
    revision: str
    dimensions: int
    normalised: bool
    prefix: str = ""


BGE_M3 = EmbeddingSpace(
    SpaceId("bge-m3"), CLOUDFLARE, "@cf/baai/bge-m3", "2026-10", 1024, normalised=True
)
TEXT_EMBEDDING_3_SMALL = EmbeddingSpace(
    SpaceId("text-embedding-3-small"),
    OPENAI,
    "text-embedding-3-small",
    "1",
    1536,
    normalised=True,
)
SPACES = (BGE_M3, TEXT_EMBEDDING_3_SMALL)


def space_of(provider: Provider, model: str) -> EmbeddingSpace:
    """Return the space that a provider's model fills.

    Raises:
        KeyError: No space is declared for this model; its vectors would have no home.
    """
    for space in SPACES:
        if (space.provider, space.model) == (provider, model):
            return space
    raise KeyError(f"no embedding space is declared for {provider}/{model}")


def space_named(space_id: SpaceId) -> EmbeddingSpace:
    """Return the space of that name.

    Raises:
        KeyError: No such space is declared.
    """
    for space in SPACES:
        if space.id == space_id:
            return space
    raise KeyError(f"no embedding space is called {space_id}")
