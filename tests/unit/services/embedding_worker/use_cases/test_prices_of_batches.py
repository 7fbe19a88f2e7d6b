from decimal import Decimal

from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.pricing import NEURON_USD
from shared.domain.usage import TokenUsage
from shared.messages.events import UsageRecorded
from tests.support.allowed_jobs import allowance_of
from tests.support.embedding_world import EmbeddingWorld, FixedRoute
from tests.support.fake_providers import Refuses, ScriptedEmbeddingModel

_DOWN = Refuses(
    ProviderFailure("3040", "no capacity", FailureAction.FALL_BACK, usage=TokenUsage(3))
)


async def test_each_batch_is_priced_when_it_begins() -> None:
    world = EmbeddingWorld(route=FixedRoute(rises=True))
    world.has(texts=150)
    await world.embed()
    first, second = (
        UsageRecorded.model_validate_json(one.body)
        for one in world.broker.flushed
        if one.exchange == "events"
    )
    assert first.cost_usd == 1 * Decimal(first.input_tokens) / 1_000_000
    assert second.cost_usd == 3 * Decimal(second.input_tokens) / 1_000_000


async def test_the_settlement_is_told_of_the_allowance_also_after_a_failure() -> None:
    allowance = allowance_of(5_000)
    route = FixedRoute(allowance=allowance)
    world = EmbeddingWorld(route=route, cloudflare=ScriptedEmbeddingModel([_DOWN]))
    world.has(texts=2)
    await world.embed()
    results = [one.settlement.result for one in world.embeddings.settled]
    assert [result.allowance for result in results] == [allowance] * 2
    assert results[0].cost_usd == 3 * NEURON_USD
