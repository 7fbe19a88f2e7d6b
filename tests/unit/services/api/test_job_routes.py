from datetime import timedelta

import orjson
import pytest

from shared.domain.gates import CHAT_FREE, Gate, GateActor, GateState
from shared.domain.ids import JobId, UserId
from shared.domain.jobs import JobStatus, Waiting, WaitingReason
from shared.messages.commands import CompleteChat, EmbedTexts
from tests.support.api_bench import ApiBench

CHAT = {"messages": [{"role": "user", "content": "hello"}]}


async def test_an_accepted_chat_is_durable_and_its_command_leaves(bench: ApiBench) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json={**CHAT, "metadata": {"a": [1]}})
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "id": body["id"],
        "object": "job",
        "kind": "chat",
        "status": "queued",
        "queue": "chat.free",
        "created_at": "2026-11-23T12:00:00Z",
        "links": {
            "self": f"/v1/jobs/{body['id']}",
            "events": f"/v1/jobs/{body['id']}/events",
        },
    }
    [job] = bench.jobs.submitted
    assert orjson.loads(job.request_json) == {
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 512,
    }
    assert job.metadata_json == '{"a":[1]}'
    await bench.parts.broker.flush.drain()
    [row] = bench.relay.rows
    assert b'sluiceway_jobs_accepted_total{queue="chat.free"} 1.0' in bench.metrics.render()
    assert (row.message.exchange, row.message.routing_key) == ("jobs", "chat.free")
    command = CompleteChat.model_validate_json(row.message.body)
    assert (command.job_id, command.max_output_tokens) == (body["id"], 512)
    assert command.input_tokens_bound == job.input_tokens_bound > 0


@pytest.mark.parametrize(
    ("name", "queue"), [("ann", "chat.free"), ("bob", "chat.paid"), ("pam", "chat.premium")]
)
async def test_the_tier_decides_the_queue(bench: ApiBench, name: str, queue: str) -> None:
    async with bench.client(f"sk-slw-{name}") as client:
        answer = await client.post("/v1/chat/jobs", json=CHAT)
    assert answer.json()["queue"] == queue


async def test_embeddings_go_to_the_interactive_queue(bench: ApiBench) -> None:
    async with bench.client() as client:
        answer = await client.post("/v1/embeddings/jobs", json={"input": ["a", "b"]})
    assert answer.status_code == 202
    assert (answer.json()["kind"], answer.json()["queue"]) == ("embed", "embed.interactive")
    [job] = bench.jobs.submitted
    assert orjson.loads(job.request_json) == {"input": ["a", "b"]}
    assert EmbedTexts.model_validate_json(job.command.body).job_kind == "embed"


async def test_the_same_idempotency_key_gives_the_same_answer(bench: ApiBench) -> None:
    headers = {"Idempotency-Key": "k-1"}
    async with bench.client() as client:
        first = await client.post("/v1/chat/jobs", json=CHAT, headers=headers)
        again = await client.post("/v1/chat/jobs", json=CHAT, headers=headers)
        other = await client.post("/v1/chat/jobs", json={**CHAT, "max_tokens": 9}, headers=headers)
    assert again.status_code == 202
    assert again.content == first.content
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_conflict"
    assert len(bench.jobs.submitted) == 1


async def test_a_closed_gate_refuses_with_a_time_to_retry(bench: ApiBench) -> None:
    until = bench.clock.now() + timedelta(seconds=90)
    bench.gates.gates[CHAT_FREE] = Gate(CHAT_FREE, GateState.CLOSED, 2, "spent", until=until)
    async with bench.client() as client:
        answer = await client.post("/v1/chat/jobs", json=CHAT)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "90"
    assert answer.json()["error"]["code"] == "queue_closed"
    assert not bench.jobs.submitted


@pytest.mark.parametrize(
    ("actor", "reason"), [(GateActor.PERSON, "queue_paused"), (GateActor.BUDGET, "budget")]
)
async def test_a_paused_gate_explains_why_a_job_waits(
    bench: ApiBench, actor: GateActor, reason: str
) -> None:
    bench.gates.gates[CHAT_FREE] = Gate(CHAT_FREE, GateState.PAUSED, 2, "why", actor)
    async with bench.client() as client:
        accepted = await client.post("/v1/chat/jobs", json=CHAT)
        assert accepted.status_code == 202
        job = (await client.get(accepted.json()["links"]["self"])).json()
    assert job["waiting"] == {"reason": reason, "until": None, "detail": "why"}


async def test_a_parked_job_says_so_whatever_its_gate(bench: ApiBench) -> None:
    async with bench.client() as client:
        job_id = JobId((await client.post("/v1/chat/jobs", json=CHAT)).json()["id"])
        state = bench.jobs.states[job_id]
        object.__setattr__(
            state.job, "waiting", Waiting(WaitingReason.BUDGET, bench.clock.now(), "no room")
        )
        job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert job["waiting"]["reason"] == "budget"
    assert job["waiting"]["until"] == "2026-11-23T12:00:00Z"


async def test_a_job_has_every_field_of_the_contract(bench: ApiBench) -> None:
    async with bench.client() as client:
        job_id = (await client.post("/v1/chat/jobs", json=CHAT)).json()["id"]
        job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert job["usage"] == {"input_tokens": 0, "output_tokens": 0, "neurons": None}
    assert job["cost_usd"] == "0"
    assert job["attempts"] == []
    assert {"result", "error", "provider", "model", "is_fallback", "latency_ms"} <= job.keys()


async def test_another_users_job_does_not_exist(bench: ApiBench) -> None:
    async with bench.client() as ann, bench.client("sk-slw-bob") as bob:
        path = (await ann.post("/v1/chat/jobs", json=CHAT)).json()["links"]["self"]
        for answer in (
            await bob.get(path),
            await bob.delete(path),
            await bob.get(f"{path}/events"),
        ):
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "not_found"


async def test_a_queued_job_can_be_cancelled_and_a_later_one_cannot(bench: ApiBench) -> None:
    async with bench.client() as client:
        path = (await client.post("/v1/chat/jobs", json=CHAT)).json()["links"]["self"]
        cancelled = await client.delete(path)
        assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
        again = await client.delete(path)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "job_finished")
        bench.jobs.set(JobId(path.rsplit("/", 1)[1]), status=JobStatus.RUNNING)
        running = await client.delete(path)
        assert (running.status_code, running.json()["error"]["code"]) == (409, "job_running")


async def test_jobs_are_paged_newest_first(bench: ApiBench) -> None:
    async with bench.client() as client:
        ids = [(await client.post("/v1/chat/jobs", json=CHAT)).json()["id"] for _ in range(3)]
        first = (await client.get("/v1/jobs", params={"limit": 2})).json()
        rest = (await client.get("/v1/jobs", params={"after": first["next"]})).json()
        none = (await client.get("/v1/jobs", params={"status": "running"})).json()
    assert [job["id"] for job in first["data"]] == [ids[2], ids[1]]
    assert first["has_more"]
    assert [job["id"] for job in rest["data"]] == [ids[0]]
    assert (rest["has_more"], rest["next"], none["data"]) == (False, None, [])
    assert bench.jobs.owners[JobId(ids[0])] == UserId("ann")


async def test_a_repeated_request_is_accepted_when_its_job_is_gone(bench: ApiBench) -> None:
    headers = {"Idempotency-Key": "k-1"}
    body = {"messages": [{"role": "user", "content": "hello"}]}
    async with bench.client() as client:
        first = await client.post("/v1/chat/jobs", json=body, headers=headers)
        bench.jobs.states.clear()
        again = await client.post("/v1/chat/jobs", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
