import asyncio
import struct
from datetime import timedelta

import orjson
import pytest
from pydantic import JsonValue

from services.api.settings import ApiLimits
from services.api.use_cases.watching import Missed
from shared.domain.collections import Match
from shared.domain.embedding_space import BGE_M3
from shared.domain.ids import JobId
from shared.domain.jobs import JobStatus
from tests.support.api_bench import ApiBench
from tests.support.fakes_of_collections import StoredChunk
from tests.support.waiting import wait_until

VECTOR = struct.pack("<1024f", 0.5, *[0.25] * 1023)
AWAY = struct.pack("<1024f", 1.0, *[0.0] * 1023)


async def test_a_collection_is_made_once_and_can_change_its_fallback(bench: ApiBench) -> None:
    async with bench.client() as client:
        made = await client.put("/v1/collections/books")
        again = await client.put("/v1/collections/books", json={"on_fallback": "separate_space"})
        got = await client.get("/v1/collections/books")
        listed = await client.get("/v1/collections")
    assert made.json() == {
        "object": "collection",
        "name": "books",
        "embedding": "@cf/baai/bge-m3",
        "embedding_space": "bge-m3",
        "dimensions": 1024,
        "on_fallback": "wait",
        "created_at": "2026-11-23T12:00:00Z",
    }
    assert again.json() == got.json() == {**made.json(), "on_fallback": "separate_space"}
    assert listed.json()["data"] == [got.json()]


async def test_a_collections_model_is_fixed(bench: ApiBench) -> None:
    async with bench.client() as client:
        await client.put("/v1/collections/books", json={"embedding": "bge-m3"})
        other = await client.put(
            "/v1/collections/books", json={"embedding": "text-embedding-3-small"}
        )
        unknown = await client.put("/v1/collections/films", json={"embedding": "word2vec"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "embedding_fixed")
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (422, "embedding")


async def test_collections_are_their_owners_only(bench: ApiBench) -> None:
    async with bench.client() as ann, bench.client("sk-slw-bob") as bob:
        await ann.put("/v1/collections/books")
        documents = {"documents": [{"text": "x"}]}
        for answer in (
            await bob.get("/v1/collections/books"),
            await bob.delete("/v1/collections/books"),
            await bob.post("/v1/collections/books/documents", json=documents),
            await bob.post("/v1/collections/books/search", json={"query": "x"}),
        ):
            assert answer.status_code == 404
        assert (await ann.delete("/v1/collections/books")).status_code == 204
        assert (await ann.delete("/v1/collections/books")).status_code == 404


async def test_every_document_is_in_exactly_one_slice(bench: ApiBench) -> None:
    documents = [{"id": f"d{n}", "text": "word " * (n % 50 + 1)} for n in range(999)]
    async with bench.client() as client:
        await client.put("/v1/collections/books")
        answer = await client.post(
            "/v1/collections/books/documents",
            json={"documents": [*documents, {"text": "x" * 32_768, "metadata": {"k": "v"}}]},
        )
        ingestion_id = answer.json()["ingestion_id"]
        read = await client.get(f"/v1/ingestions/{ingestion_id}")
    assert answer.status_code == 202
    assert (read.json()["documents"], read.json()["chunks"]) == (1000, 1000)
    [ingestion] = bench.collections.ingestions.values()
    chunks = [chunk for one in ingestion.slices for chunk in one.chunks]
    assert sorted(chunk.document_id for chunk in chunks if chunk.document_id[0] == "d")[:2]
    assert len({chunk.document_id for chunk in chunks}) == 1000
    assert all(len(one.chunks) <= 96 for one in ingestion.slices)
    assert {one.job.queue for one in ingestion.slices} == {"embed.bulk"}
    assert {one.job.request_json for one in ingestion.slices} == {"{}"}
    assert [c.metadata_json for c in chunks if c.metadata_json] == ['{"k":"v"}']
    await bench.parts.broker.flush.drain()
    assert len(bench.relay.rows) == len(ingestion.slices)


@pytest.mark.parametrize(
    ("documents", "param"),
    [
        ([], "documents"),
        ([{"text": ""}], "documents.0.text"),
        ([{"text": "x" * 32_769}], "documents.0.text"),
        ([{"text": "x"}] * 1001, "documents"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "documents.1.id"),
        ([{"id": "\x00", "text": "x"}], "documents.0.id"),
    ],
)
async def test_a_wrong_document_is_named(
    bench: ApiBench, documents: list[dict[str, str]], param: str
) -> None:
    async with bench.client() as client:
        await client.put("/v1/collections/books")
        answer = await client.post("/v1/collections/books/documents", json={"documents": documents})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
    assert not bench.collections.ingestions


async def test_a_search_embeds_its_query_and_asks_the_store(bench: ApiBench) -> None:
    async with bench.client() as client:
        await client.put("/v1/collections/books")
        [books] = bench.collections.collections.values()
        bench.vectors.chunks = [
            StoredChunk(books.id, BGE_M3, Match("d2", 0, 0.0, "t", None), AWAY),
            StoredChunk(books.id, BGE_M3, Match("d1", 0, 0.0, "text", '{"n":1}'), VECTOR),
        ]
        searching = asyncio.create_task(
            client.post("/v1/collections/books/search", json={"query": "which?", "k": 1})
        )
        await wait_until(lambda: bool(bench.watches.open))
        [job] = bench.jobs.submitted
        assert orjson.loads(job.request_json) == {"input": ["which?"]}
        assert (job.queue, job.model) == ("embed.interactive", "@cf/baai/bge-m3")
        bench.vectors.by_job[job.id] = (BGE_M3, {0: VECTOR})
        bench.jobs.set(job.id, status=JobStatus.SUCCEEDED)
        bench.watches.wake()
        answer = await searching
    [match] = answer.json()["matches"]
    assert match.pop("score") == pytest.approx(1)
    assert match == {"document_id": "d1", "chunk": 0, "text": "text", "metadata": {"n": 1}}
    assert [(query, k) for _, query, k in bench.vectors.searches] == [(VECTOR, 1)]


async def test_a_search_gives_up_with_a_time_to_retry() -> None:
    bench = ApiBench(ApiLimits(search_patience=timedelta(milliseconds=50)))
    async with bench.client() as client:
        await client.put("/v1/collections/books")
        answer = await client.post("/v1/collections/books/search", json={"query": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


async def test_a_search_that_the_stopping_server_ends_may_be_repeated(bench: ApiBench) -> None:
    async with bench.client() as client:
        await client.put("/v1/collections/books")
        searching = asyncio.create_task(
            client.post("/v1/collections/books/search", json={"query": "x"})
        )
        await wait_until(lambda: bool(bench.watches.open))
        bench.watches.open[0].miss(Missed.CLOSED)
        answer = await searching
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")


async def test_a_search_whose_query_got_no_vector_may_be_repeated(bench: ApiBench) -> None:
    async with bench.client() as client:
        await client.put("/v1/collections/books")
        searching = asyncio.create_task(
            client.post("/v1/collections/books/search", json={"query": "x"})
        )
        await wait_until(lambda: bool(bench.watches.open))
        bench.jobs.set(bench.jobs.submitted[0].id, status=JobStatus.FAILED)
        bench.watches.wake()
        answer = await searching
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert bench.vectors.searches == []


async def test_an_unknown_ingestion_is_not_found(bench: ApiBench) -> None:
    async with bench.client() as client:
        answer = await client.get("/v1/ingestions/ing_none")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_an_embed_job_whose_vectors_are_gone_has_its_stored_result(bench: ApiBench) -> None:
    stored: JsonValue = {"embedding_space": "bge-m3", "dimensions": 1024, "count": 1}
    async with bench.client() as client:
        job_id = JobId(
            (await client.post("/v1/embeddings/jobs", json={"input": ["a"]})).json()["id"]
        )
        bench.jobs.finish(job_id, stored)
        result = (await client.get(f"/v1/jobs/{job_id}")).json()["result"]
    assert result == stored


async def test_an_embed_jobs_result_has_its_vectors(bench: ApiBench) -> None:
    async with bench.client() as client:
        job_id = JobId(
            (await client.post("/v1/embeddings/jobs", json={"input": ["a"]})).json()["id"]
        )
        bench.jobs.finish(job_id, {"embedding_space": "bge-m3", "dimensions": 1024, "count": 1})
        bench.vectors.by_job[job_id] = (BGE_M3, {0: VECTOR})
        result = (await client.get(f"/v1/jobs/{job_id}")).json()["result"]
        events = (await client.get(f"/v1/jobs/{job_id}/events")).text
    assert (result["embedding_space"], result["dimensions"]) == ("bge-m3", 1024)
    [entry] = result["data"]
    assert entry["index"] == 0
    assert entry["embedding"] == [0.5, *[0.25] * 1023]
    assert orjson.loads(events.split("data: ")[1])["result"] == result
