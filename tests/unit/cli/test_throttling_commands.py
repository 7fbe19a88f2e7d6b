"""`sluiceway scopes`, `alerts` and `audit` against the API."""

import pytest

from shared.domain.alerts import AlertDelivery, DeliveryState
from shared.domain.gates import WORK_QUEUES, GateActor, GateState
from shared.domain.ids import QueueName
from shared.ports.gates import AuditEntry
from tests.support.shell import Shell


def _gate(shell: Shell, queue: str) -> GateState:
    return shell.bench.scope_gates.gates["user:ann", QueueName(queue)].desired


@pytest.mark.parametrize(
    ("verb", "desired"),
    [("pause", "paused"), ("slow", "slowed"), ("close", "closed")],
)
def test_a_scopes_gates_are_moved(shell: Shell, verb: str, desired: str) -> None:
    header, *rows = shell.lines("scopes", verb, "user:ann", "--reason", "why")
    assert header[:3] == ["scope", "queue", "desired"]
    assert [row[1:3] for row in rows] == [[queue, desired] for queue in WORK_QUEUES]
    (change,) = shell.bench.scope_gates.changes
    assert (f"{change.scope}", change.reason, change.actor) == (
        "user:ann",
        "why",
        GateActor.PERSON,
    )


def test_queues_may_be_named_and_the_move_printed_as_json(shell: Shell) -> None:
    moved = shell.json(
        "scopes", "pause", "user:ann", "--reason", "why",
        "--queue", "chat.free", "--queue", "embed.bulk",
        "--until", "2026-11-24T00:00:00Z",
    )  # fmt: skip
    assert isinstance(moved, dict)
    assert isinstance(moved["data"], list)
    assert len(moved["data"]) == 2
    assert _gate(shell, "chat.free") == _gate(shell, "embed.bulk") == GateState.PAUSED
    (change,) = shell.bench.scope_gates.changes
    assert f"{change.until}" == "2026-11-24 00:00:00+00:00"


def test_a_slowed_scope_has_a_number_of_calls(shell: Shell) -> None:
    shell.lines("scopes", "slow", "user:ann", "--reason", "why", "--concurrency", "3")
    assert [one.concurrency for one in shell.bench.scope_gates.changes] == [3]


def test_scopes_are_listed(shell: Shell) -> None:
    assert len(shell.lines("scopes")) == 1
    shell.lines("scopes", "pause", "user:ann", "--reason", "why", "--queue", "chat.free")
    _, row = shell.lines("scopes")
    assert row[:3] == ["user:ann", "chat.free", "paused"]
    assert shell.json("scopes") is not None


def test_a_gate_needs_a_reason_to_shut(shell: Shell) -> None:
    assert shell.run("scopes", "pause", "user:ann").exit_code == 2
    assert shell.bench.scope_gates.changes == []


def test_a_scope_that_is_none_is_one_line(shell: Shell) -> None:
    assert "planet" in shell.refusal("scopes", "pause", "planet:x", "--reason", "why")


def _outcome(shell: Shell, *states: DeliveryState) -> None:
    now = shell.bench.clock.now()
    shell.bench.alerts.outcome = [
        AlertDelivery(f"channel-{number}", state, 1, now, None, now)
        for number, state in enumerate(states)
    ]


def test_a_test_alert_shows_every_channel(shell: Shell) -> None:
    _outcome(shell, DeliveryState.DELIVERED, DeliveryState.DELIVERED)
    header, *rows = shell.lines("alerts", "test")
    assert header == ["channel", "state", "last_error"]
    assert [row[:2] for row in rows] == [["channel-0", "delivered"], ["channel-1", "delivered"]]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_channel_that_takes_no_alert_is_a_failure(shell: Shell, form: list[str]) -> None:
    _outcome(shell, DeliveryState.DELIVERED, DeliveryState.GIVEN_UP)
    result = shell.run("alerts", "test", *form)
    assert result.exit_code == 1
    assert "given_up" in result.stdout


def test_alerts_are_listed(shell: Shell) -> None:
    _outcome(shell, DeliveryState.DELIVERED)
    shell.lines("alerts", "test")
    header, row = shell.lines("alerts")
    assert (header[0], row[0]) == ("id", "1")
    listed = shell.json("alerts")
    assert isinstance(listed, dict)
    assert isinstance(listed["data"], list)
    assert len(listed["data"]) == 1


def _entry(shell: Shell, number: int, kind: str, from_state: str, to_state: str) -> AuditEntry:
    return AuditEntry(
        id=number,
        kind=kind,
        scope="user:ann",
        queue="chat.free" if kind == "gate" else None,
        window=None,
        from_state=from_state,
        to_state=to_state,
        actor="person",
        by="key-of-ann",
        reason="why",
        changed_at=shell.bench.clock.now(),
    )


def test_the_audit_trail_says_from_what_to_what_by_whom_and_why(shell: Shell) -> None:
    shell.bench.audit.entries = [
        _entry(shell, 1, "gate", "running", "paused"),
        _entry(shell, 2, "rollout", "10", "50"),
    ]
    header, gate, rollout = shell.lines("audit")
    assert header == ["id", "changed_at", "kind", "scope", "queue", "from", "to", "by", "reason"]
    assert gate[2:] == ["gate", "user:ann", "chat.free", "running", "paused", "key-of-ann", "why"]
    assert rollout[2:] == ["rollout", "user:ann", "-", "10", "50", "key-of-ann", "why"]


def test_the_audit_trail_goes_on_after_an_entry(shell: Shell) -> None:
    shell.bench.audit.entries = [
        _entry(shell, number, "gate", "running", "paused") for number in (1, 2, 3)
    ]
    assert [row[0] for row in shell.lines("audit", "--after", "1")[1:]] == ["2", "3"]
    listed = shell.json("audit", "--after", "2")
    assert isinstance(listed, dict)
    assert isinstance(listed["data"], list)
    assert len(listed["data"]) == 1
