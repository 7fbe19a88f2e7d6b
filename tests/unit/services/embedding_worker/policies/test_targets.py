from decimal import Decimal

import pytest

from services.embedding_worker.policies.targets import targets_for
from shared.domain.catalog import CLOUDFLARE
from shared.domain.collections import EmbeddingWork, OnFallback, PendingText
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.errors import UnknownPriceError
from shared.domain.ids import SpaceId
from shared.domain.pricing import ModelKind, PriceRow
from shared.domain.routes import Candidate

_BGE = Candidate(BGE_M3.provider, BGE_M3.model)
_SMALL = Candidate(TEXT_EMBEDDING_3_SMALL.provider, TEXT_EMBEDDING_3_SMALL.model)
_USUAL = (_BGE, _SMALL)


def _work(
    space_id: SpaceId | None = None, on_fallback: OnFallback = OnFallback.WAIT
) -> EmbeddingWork:
    return EmbeddingWork([PendingText(0, "text", 1)], 1, space_id, on_fallback)


def _price(candidate: Candidate) -> PriceRow:
    return PriceRow(
        provider=candidate.provider,
        model=candidate.model,
        kind=ModelKind.EMBEDDING,
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(0),
    )


def _only_openai_has_a_price(candidate: Candidate) -> PriceRow:
    if candidate.provider == CLOUDFLARE:
        raise UnknownPriceError("no price for cloudflare")
    return _price(candidate)


def _nobody_has_a_price(candidate: Candidate) -> PriceRow:
    raise UnknownPriceError(f"no price for {candidate.provider}")


def test_a_job_without_a_space_may_go_to_every_candidate_in_order() -> None:
    targets = targets_for(_work(), _USUAL, _price)
    assert [one.space for one in targets] == [BGE_M3, TEXT_EMBEDDING_3_SMALL]
    assert [one.is_fallback for one in targets] == [False, True]


def test_a_decided_space_is_the_only_one() -> None:
    targets = targets_for(_work(TEXT_EMBEDDING_3_SMALL.id), _USUAL, _price)
    assert [one.space for one in targets] == [TEXT_EMBEDDING_3_SMALL]


def test_a_collection_may_allow_other_spaces_after_its_own() -> None:
    work = _work(TEXT_EMBEDDING_3_SMALL.id, OnFallback.SEPARATE_SPACE)
    targets = targets_for(work, _USUAL, _price)
    assert [one.space for one in targets] == [TEXT_EMBEDDING_3_SMALL, BGE_M3]
    assert [one.is_fallback for one in targets] == [False, True]


def test_a_candidate_without_a_price_is_left_out_and_the_next_is_a_fallback() -> None:
    targets = targets_for(_work(), _USUAL, _only_openai_has_a_price)
    assert [(one.space, one.is_fallback) for one in targets] == [(TEXT_EMBEDDING_3_SMALL, True)]


def test_no_price_at_all_refuses_the_job() -> None:
    with pytest.raises(UnknownPriceError, match="cloudflare"):
        targets_for(_work(), _USUAL, _nobody_has_a_price)
