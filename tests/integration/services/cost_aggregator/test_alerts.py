"""Alerts from the commit that fires them to a webhook's door, on a real database and real HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import orjson
import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cost_aggregator.adapters.apprise_channel import AppriseChannel, open_channels
from services.cost_aggregator.adapters.log_channel import LogChannel
from services.cost_aggregator.use_cases.deliver_alerts import DeliverAlerts, Outcome
from shared.domain.alerts import Alert, AlertKind, DeliveryState
from shared.domain.budgets import Budget, BudgetScope, Threshold, ThresholdAction, Window
from shared.domain.errors import AlertNotDeliveredError
from shared.persistence.engine import create_engine
from shared.persistence.repositories.alerts import PostgresAlerts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.ledger import PostgresLedger
from shared.ports.alerts import AlertChannel, StoredAlert
from tests.support.chat_jobs import COST, SetClock, change, ledger_entry
from tests.support.replay_server import ReplayServer, Reply, replay_server

_SECRET = "s3cr3t-t0ken"
_ALERT = Alert(1, AlertKind.THRESHOLD, "pause", "budget global: 5 USD spent")


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def webhook() -> AsyncGenerator[ReplayServer]:
    async with replay_server() as server:
        server.replies = [Reply((b"{}",))]
        yield server


def _channels(webhook: ReplayServer) -> Sequence[AppriseChannel]:
    return open_channels(f"json://user:{_SECRET}@127.0.0.1:{webhook.port}/{_SECRET}")


@dataclass
class Replica:
    """An aggregator's deliveries."""

    engine: AsyncEngine
    channels: Sequence[AlertChannel]
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    async def deliver(self) -> None:
        await DeliverAlerts(PostgresAlerts(self.engine), self.channels, self.outcomes.append)()


async def _fire(engine: AsyncEngine, entries: int = 1) -> None:
    scope = BudgetScope.parse("user:user-1")
    threshold = Threshold(COST, ThresholdAction.PAUSE)
    await PostgresBudgets(engine, SetClock()).put(
        Budget(scope, Window.DAY, None, (threshold,)), "test"
    )
    for _ in range(entries):
        await PostgresLedger(engine, SetClock()).book([ledger_entry()])


async def _alerts(engine: AsyncEngine) -> list[StoredAlert]:
    return [*await PostgresAlerts(engine).page(0, 10)]


async def _all_due(engine: AsyncEngine) -> None:
    await change(engine, "UPDATE alert_deliveries SET next_attempt_at = now()")


async def test_a_crossed_threshold_reaches_the_webhook_once(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    await _fire(engine, entries=3)
    replica = Replica(engine, _channels(webhook))
    for _ in range(3):
        await replica.deliver()
    (request,) = webhook.requests
    body = orjson.loads(request.body)
    assert body["message"] == (
        "budget user:user-1: 0.004 USD spent this day, threshold 0.004 USD: pause"
    )
    assert body["title"] == "Sluiceway: threshold"
    (stored,) = await _alerts(engine)
    (delivery,) = stored.deliveries
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)
    assert replica.outcomes == ["delivered"]


async def test_replicas_deliver_an_alert_once_between_them(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    await _fire(engine)
    replicas = [Replica(engine, _channels(webhook)) for _ in range(4)]
    await asyncio.gather(*(replica.deliver() for replica in replicas))
    await asyncio.gather(*(replica.deliver() for replica in replicas))
    assert len(webhook.requests) == 1


async def test_a_replica_killed_before_it_delivered_is_replaced_by_another(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    await _fire(engine)
    dead = PostgresAlerts(engine)
    names = [channel.name for channel in _channels(webhook)]
    await dead.route(names)
    assert len(await dead.due(names, 10)) == 1
    other = Replica(engine, _channels(webhook))
    await other.deliver()
    assert webhook.requests == [], "the dead one's lease still stands"
    await _all_due(engine)
    await other.deliver()
    assert len(webhook.requests) == 1


async def test_a_refused_delivery_is_visible_and_tried_again(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    webhook.replies = [Reply(status=500), Reply((b"{}",))]
    await _fire(engine)
    replica = Replica(engine, _channels(webhook))
    with structlog.testing.capture_logs() as logs:
        await replica.deliver()
    (stored,) = await _alerts(engine)
    (delivery,) = stored.deliveries
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 1)
    assert delivery.last_error is not None
    assert [line["event"] for line in logs] == ["alert.not_delivered"]
    await replica.deliver()
    assert len(webhook.requests) == 1, "it waits before it tries again"
    await _all_due(engine)
    await replica.deliver()
    (stored,) = await _alerts(engine)
    assert [(one.state, one.last_error) for one in stored.deliveries] == [
        (DeliveryState.DELIVERED, None)
    ]
    assert replica.outcomes == ["failed", "delivered"]


async def test_a_channel_that_fails_keeps_no_other_from_being_told(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    counted: list[str] = []
    webhook.replies = [Reply(status=500)]
    await _fire(engine)
    replica = Replica(engine, [LogChannel(counted.append), *_channels(webhook)])
    with structlog.testing.capture_logs() as logs:
        await replica.deliver()
    await _all_due(engine)
    await replica.deliver()
    told = [line for line in logs if line["event"] == "budget.alert"]
    assert [(line["action"], line["log_level"]) for line in told] == [("pause", "warning")]
    assert counted == ["pause"]
    assert len(webhook.requests) == 2


async def test_no_secret_of_an_address_is_told(
    engine: AsyncEngine, webhook: ReplayServer, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.replies = [Reply((_SECRET.encode(),), status=401)]
    await _fire(engine)
    with caplog.at_level("DEBUG"), structlog.testing.capture_logs() as logs:
        await Replica(engine, _channels(webhook)).deliver()
    (stored,) = await _alerts(engine)
    assert _SECRET not in f"{stored} {logs} {caplog.text}"


async def test_a_delivery_is_given_up_after_its_last_attempt(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    webhook.replies = [Reply(status=500)]
    await _fire(engine)
    replica = Replica(engine, _channels(webhook))
    await replica.deliver()
    await change(engine, "UPDATE alert_deliveries SET attempts = 29, next_attempt_at = now()")
    await replica.deliver()
    (stored,) = await _alerts(engine)
    assert [one.state for one in stored.deliveries] == [DeliveryState.GIVEN_UP]
    assert replica.outcomes == ["failed", "given_up"]


async def test_a_test_goes_through_every_channel_once(
    engine: AsyncEngine, webhook: ReplayServer
) -> None:
    webhook.replies = [Reply(status=500)]
    alerts = PostgresAlerts(engine)
    alert_id = await alerts.fire_test("test_1", "a test")
    replica = Replica(engine, [LogChannel(lambda _: None), *_channels(webhook)])
    for _ in range(2):
        await replica.deliver()
        await _all_due(engine)
    stored = await alerts.get(alert_id)
    assert stored is not None
    assert stored.alert.kind is AlertKind.TEST
    assert {one.channel.partition("-")[0]: one.state for one in stored.deliveries} == {
        "log": DeliveryState.DELIVERED,
        "json": DeliveryState.GIVEN_UP,
    }
    assert len(webhook.requests) == 1
    assert await alerts.get(alert_id + 1) is None


async def test_alerts_are_paged_by_id(engine: AsyncEngine) -> None:
    alerts = PostgresAlerts(engine)
    first, second = [await alerts.fire_test(f"test_{n}", "a test") for n in range(2)]
    assert [one.alert.id for one in await alerts.page(0, 1)] == [first]
    assert [one.alert.id for one in await alerts.page(first, 9)] == [second]


async def test_both_windows_of_a_scope_alert(engine: AsyncEngine) -> None:
    scope = BudgetScope.parse("user:user-1")
    threshold = Threshold(Decimal(0), ThresholdAction.ALERT)
    for window in Window:
        await PostgresBudgets(engine, SetClock()).put(
            Budget(scope, window, None, (threshold,)), "test"
        )
    assert {one.window for one in await _alerts(engine)} == {"day", "month"}


async def test_a_channel_that_hangs_is_left_after_its_time(webhook: ReplayServer) -> None:
    webhook.replies = [Reply(hangs=True, length=5)]
    channel = AppriseChannel("json-1", f"json://127.0.0.1:{webhook.port}?rto=1", 0.2)
    with pytest.raises(AlertNotDeliveredError, match="json-1 did not answer"):
        await channel.send(_ALERT)


@pytest.mark.parametrize("separator", [" ", ",", " , \n"])
async def test_addresses_are_separated_by_spaces_or_commas(separator: str) -> None:
    addresses = f"json://a/?to=x,y{separator}json://b/"
    assert len(open_channels(addresses)) == 2


def test_no_address_is_no_channel() -> None:
    assert open_channels("") == []


def test_an_address_is_named_by_its_kind_and_a_fingerprint() -> None:
    first, second = open_channels("json://a/ json://b/")
    assert first.name.startswith("json-")
    assert first.name != second.name
    assert open_channels("json://a/ json://a/")[0].name == first.name


def test_an_unknown_address_is_refused_without_being_told() -> None:
    with pytest.raises(ValueError, match="Apprise does not know address 2") as refused:
        open_channels(f"json://a/ nonsense://{_SECRET}")
    assert _SECRET not in str(refused.value)
