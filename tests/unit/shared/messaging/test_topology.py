from shared.domain.gates import WORK_QUEUES
from shared.messaging.topology import (
    BINDINGS,
    JOBS,
    POLICIES,
    QUEUES,
    control_queue,
    results_queue,
)


def test_only_newer_brokers_get_the_consumer_timeout() -> None:
    work = POLICIES[0]
    assert "consumer-timeout" not in work.definition_for((3, 10))
    assert work.definition_for((3, 12))["consumer-timeout"] == 3_600_000
    assert work.definition_for((4, 0))["consumer-timeout"] == 3_600_000


def test_money_has_no_length_limit() -> None:
    money = next(policy for policy in POLICIES if policy.name == "money")
    assert not [key for key in money.definition_for((4, 3)) if key.startswith("max-length")]


def test_every_shared_queue_is_a_durable_quorum_queue() -> None:
    assert {queue.arguments["x-queue-type"] for queue in QUEUES} == {"quorum"}
    assert all(queue.durable for queue in QUEUES)


def test_what_the_ladder_returns_finds_its_queue() -> None:
    returned = {each.queue for each in BINDINGS if each.exchange == JOBS}
    assert returned == {*WORK_QUEUES, "usage.ledger"}


def test_a_replicas_queue_expires_after_it() -> None:
    queue = results_queue("boot")
    assert queue.name == "results.api.boot"
    assert queue.arguments["x-expires"] == 60_000


def test_the_control_queue_goes_with_its_connection() -> None:
    queue = control_queue("boot")
    assert (queue.name, queue.exclusive, queue.auto_delete) == ("control.boot", True, True)
