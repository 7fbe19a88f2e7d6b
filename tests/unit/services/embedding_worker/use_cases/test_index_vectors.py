from dataclasses import dataclass, field

from services.embedding_worker.use_cases.index_vectors import WHEN_BUSY, WHEN_IDLE, IndexVectors


@dataclass
class _Index:
    waiting: int
    rounds: list[int] = field(default_factory=list[int])

    async def promote(self, limit: int) -> int:
        self.rounds.append(limit)
        moved = min(limit, self.waiting)
        self.waiting -= moved
        return moved


async def test_an_idle_worker_moves_everything() -> None:
    index = _Index(waiting=WHEN_IDLE + 1)
    await IndexVectors(index, lambda: True)()
    assert index.waiting == 0


async def test_a_busy_worker_moves_a_few() -> None:
    index = _Index(waiting=WHEN_IDLE)
    await IndexVectors(index, lambda: False)()
    assert index.rounds == [WHEN_BUSY]
