from dataclasses import replace

import orjson

from shared.domain.ids import JobId, UserId
from shared.domain.jobs import JobStatus
from tests.support.api_bench import ApiBench

CHAT = {"messages": [{"role": "user", "content": "hello"}]}


async def test_a_finished_job_is_replayed_as_server_sent_events(bench: ApiBench) -> None:
    async with bench.client() as client:
        job_id = JobId((await client.post("/v1/chat/jobs", json=CHAT)).json()["id"])
        state = bench.jobs.states[job_id]
        result = orjson.dumps({"message": {"role": "assistant", "content": "hé!"}}).decode()
        job = replace(state.job, status=JobStatus.SUCCEEDED, result_json=result)
        bench.jobs.put(UserId("ann"), replace(state, job=job))
        answer = await client.get(f"/v1/jobs/{job_id}/events", params={"after_offset": 1})
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, last, rest = answer.text.split("\n\n")
    assert rest == ""
    name, _, data = first.partition("\ndata: ")
    assert name == "event: job.delta"
    assert orjson.loads(data) == {
        "type": "job.delta",
        "job_id": job_id,
        "attempt": 1,
        "offset": 1,
        "text": "é!",
    }
    name, _, data = last.partition("\ndata: ")
    assert name == "event: job.completed"
    body = orjson.loads(data)
    assert body["result"] == orjson.loads(result)
    assert (body["cost_usd"], body["latency_ms"]) == ("0", 0)
    assert not bench.watches.open
