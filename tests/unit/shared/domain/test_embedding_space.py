import pytest

from shared.domain.catalog import OPENAI
from shared.domain.embedding_space import SPACES, space_named, space_of
from shared.domain.ids import SpaceId


def test_every_space_is_found_by_its_name_and_by_its_model() -> None:
    assert [space_named(space.id) for space in SPACES] == [*SPACES]
    assert [space_of(space.provider, space.model) for space in SPACES] == [*SPACES]


def test_a_space_that_nobody_declared_is_refused() -> None:
    with pytest.raises(KeyError, match="word2vec"):
        space_named(SpaceId("word2vec"))
    with pytest.raises(KeyError, match="openai/word2vec"):
        space_of(OPENAI, "word2vec")
