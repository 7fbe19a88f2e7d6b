import pytest

from shared.domain.jobs import JobKind
from tests.support.embedding_world import EmbeddingWorld


@pytest.mark.parametrize(
    ("kind", "is_interactive"), [(JobKind.EMBED, True), (JobKind.INGEST, False)]
)
async def test_only_bulk_work_waits_for_a_busy_model(
    kind: JobKind,
    is_interactive: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    world = EmbeddingWorld()
    world.has(texts=1)
    await world.embed(kind)
    assert [call.is_interactive for call in world.cloudflare.calls] == [is_interactive]
