from shared.domain.errors import FailureAction, ProviderFailure
from shared.messages.events import UsageRecorded
from tests.support.embedding_world import ARM, EmbeddingWorld
from tests.support.fake_providers import Refuses, ScriptedEmbeddingModel

_DOWN = Refuses(ProviderFailure("3040", "no capacity", FailureAction.FALL_BACK))


async def test_every_attempt_and_its_usage_know_the_arm() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([_DOWN]))
    world.has(texts=1)
    await world.embed()
    assert [request.arm for request in world.attempts.requests] == [ARM, ARM]
    messages = [settled.settlement.messages[0] for settled in world.embeddings.settled]
    events = [UsageRecorded.model_validate_json(one.message.body) for one in messages]
    assert [event.arm for event in events] == [ARM, ARM]
