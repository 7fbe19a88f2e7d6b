"""Embedding jobs whose providers are let alone, or called as fast as they allow."""

from datetime import timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.claims import PassedOver, Unclaimable
from shared.domain.collections import OnFallback
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.jobs import JobKind, WaitingReason
from shared.ports.admission import LAST_PATIENCE, PATIENCE
from tests.support.embedding_world import EmbeddingWorld
from tests.support.fakes_of_admission import ScriptedAdmission, held_up_until
from tests.support.fakes_of_time import StillClock

NOW = StillClock().now()
SOON, LATER = NOW + timedelta(seconds=3), NOW + timedelta(minutes=5)
BGE, SMALL = BGE_M3.model, TEXT_EMBEDDING_3_SMALL.model


async def test_a_provider_that_is_let_alone_is_passed_over() -> None:
    held_up = {BGE: [*held_up_until(SOON)]}
    world = EmbeddingWorld(admission=ScriptedAdmission(held_up=held_up))
    world.has(texts=2)
    await world.embed()
    assert (len(world.cloudflare.calls), len(world.openai.calls)) == (0, 1)
    (claimed,) = world.attempts.requests
    assert claimed.passed_over == [PassedOver(CLOUDFLARE, BGE, "3040", NOW)]
    assert world.admission.patience == [PATIENCE, LAST_PATIENCE]


async def test_vectors_of_a_space_wait_for_their_provider() -> None:
    held_up = {BGE: [*held_up_until(SOON, 2)]}
    world = EmbeddingWorld(admission=ScriptedAdmission(held_up=held_up))
    world.has(texts=2, space_id=BGE_M3.id, on_fallback=OnFallback.WAIT)
    await world.embed(JobKind.INGEST)
    assert world.admission.waits == [SOON, SOON]
    assert len(world.cloudflare.calls) == 1
    (claimed,) = world.attempts.requests
    assert len(claimed.passed_over) == 1


async def test_a_job_of_a_provider_that_stays_away_comes_back_when_it_may_be_asked() -> None:
    held_up = {BGE: [*held_up_until(LATER)]}
    world = EmbeddingWorld(admission=ScriptedAdmission(held_up=held_up))
    world.has(texts=2, space_id=BGE_M3.id, on_fallback=OnFallback.WAIT)
    await world.embed(JobKind.INGEST)
    (put_off,) = world.attempts.put_offs
    assert put_off.waiting is not None
    assert put_off.waiting.reason is WaitingReason.PROVIDER_COOLDOWN
    assert put_off.waiting.until == LATER
    assert world.cloudflare.calls == []


async def test_what_came_of_a_call_is_told() -> None:
    world = EmbeddingWorld()
    world.has(texts=2)
    await world.embed()
    assert [model for model, _ in world.admission.answers] == [BGE]
    assert [call.credential for call in world.cloudflare.calls] == [1]


async def test_a_call_that_was_not_made_is_told() -> None:
    world = EmbeddingWorld()
    world.has(texts=2)
    world.attempts.script = [Unclaimable.DONE]
    await world.embed()
    assert world.admission.uncalled == [BGE]


async def test_a_call_is_not_made_while_the_database_is_away() -> None:
    world = EmbeddingWorld()
    world.has(texts=2)

    world.attempts.is_away = True
    with pytest.raises(DatabaseUnavailableError):
        await world.embed()
    assert world.admission.uncalled == [BGE]
