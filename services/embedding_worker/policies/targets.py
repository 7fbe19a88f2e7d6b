"""Which models may embed a job's texts, in the order to try.

Invariant: a job whose space is decided is offered another one only if its collection allows that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.batching import BGE_M3_LIMITS, OPENAI_EMBEDDING_LIMITS, PackingLimits
from shared.domain.catalog import CLOUDFLARE, Provider
from shared.domain.collections import EmbeddingWork, OnFallback
from shared.domain.embedding_space import EmbeddingSpace, space_named, space_of
from shared.domain.errors import UnknownPriceError
from shared.domain.ids import SpaceId
from shared.domain.pricing import PriceRow
from shared.domain.routes import Candidate

_LIMITS_BY_PROVIDER: Mapping[Provider, PackingLimits] = {
    CLOUDFLARE: BGE_M3_LIMITS,
}


@dataclass(frozen=True, slots=True)
class Target:
    """A model that may embed, where its vectors go, and what it takes and costs."""

    space: EmbeddingSpace
    price: PriceRow
    limits: PackingLimits
    is_fallback: bool

    @property
    def candidate(self) -> Candidate:
        """Return who is asked."""
        return Candidate(self.space.provider, self.space.model)


def targets_for(
    work: EmbeddingWork,
    usual: Sequence[Candidate],
    price_of: Callable[[Candidate], PriceRow],
) -> Sequence[Target]:
    """Return the targets whose price is known; at least one.

    Args:
        work: What is left to embed.
        usual: The route's candidates, in order.
        price_of: Returns a candidate's price, or raises `UnknownPriceError`.

    Raises:
        UnknownPriceError: No target has a price; the message is the first one's.
    """
    faults: list[UnknownPriceError] = []
    targets: list[Target] = []
    for position, candidate in enumerate(_in_order(work, usual)):
        try:
            price = price_of(candidate)
        except UnknownPriceError as error:
            faults.append(error)
            continue
        space = space_of(candidate.provider, candidate.model)
        limits = _LIMITS_BY_PROVIDER.get(candidate.provider, OPENAI_EMBEDDING_LIMITS)
        targets.append(Target(space, price, limits, is_fallback=position > 0))
    if not targets:
        raise faults[0]
    return targets


def _in_order(work: EmbeddingWork, usual: Sequence[Candidate]) -> Sequence[Candidate]:
    if work.space_id is None:
        return usual
    home = _candidate_of(work.space_id)
    if work.on_fallback is OnFallback.WAIT:
        return (home,)
    others = (c for c in usual if (c.provider, c.model) != (home.provider, home.model))
    return (home, *others)


def _candidate_of(space_id: SpaceId) -> Candidate:
    space = space_named(space_id)
    return Candidate(space.provider, space.model)
