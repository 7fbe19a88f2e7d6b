import numpy as np
import pytest

from tests.contract.simulator.running import Simulator
from tests.contract.simulator.shapes import CF_BGE_M3, CF_BGE_M3_META, CF_PRICED_USAGE, CF_QWEN3

_BGE_M3 = "@cf/baai/bge-m3"
_BGE_BASE = "@cf/baai/bge-base-en-v1.5"
_QWEN3 = "@cf/qwen/qwen3-embedding-0.6b"


async def test_bge_m3_names_its_cost_in_meta_and_no_usage(simulator: Simulator) -> None:
    answer = await simulator.run(_BGE_M3, {"text": ["one", "one two three"]})
    result = answer.json()["result"]
    assert result.keys() == CF_BGE_M3
    assert result["meta"].keys() == CF_BGE_M3_META
    assert result["shape"] == [2, 1024]
    assert (result["pooling"], result["response"]) == ("cls", None)
    assert len(result["data"][1]) == 1024


async def test_bge_m3_bills_every_text_at_the_length_of_the_longest(simulator: Simulator) -> None:
    answer = await simulator.run(_BGE_M3, {"text": ["one", "one two three"]})
    [row] = await simulator.bill()
    meta = answer.json()["result"]["meta"]
    assert row["input_tokens"] == meta["cost_metric_value_1"] == 2 * 4
    assert row["neurons"] == answer.headers["cf-ai-neurons"] == "0.0086"
    assert meta["neurons"] == 0.0086
    assert row["cost_usd"] == "0.0000000946"
    assert row["completed"] is True


async def test_the_padded_budget_of_bge_m3_is_60000_tokens(simulator: Simulator) -> None:
    text = "word " * 601
    answer = await simulator.run(_BGE_M3, {"text": [text, *["short"] * 99]})
    message = "AiError: Max context reached 60100 tokens but model supports only 60000"
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"message": message, "code": 3030}]
    assert await simulator.bill() == []


async def test_truncated_inputs_fit_the_budget(simulator: Simulator) -> None:
    body = {"text": "word " * 70_000, "truncate_inputs": True}
    assert (await simulator.run(_BGE_M3, body)).status_code == 200


@pytest.mark.parametrize("text", [[], [""], "", ["x"] * 101, 1, [1]])
async def test_unfit_texts_are_refused(simulator: Simulator, text: object) -> None:
    answer = await simulator.run(_BGE_M3, {"text": text})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 8001)


async def test_qwen3_takes_documents_and_names_usage(simulator: Simulator) -> None:
    result = (await simulator.run(_QWEN3, {"documents": ["one two"]})).json()["result"]
    assert result.keys() == CF_QWEN3
    assert result["usage"].keys() == CF_PRICED_USAGE
    assert result["shape"] == [1, 1024]


async def test_other_bge_models_pool_by_mean(simulator: Simulator) -> None:
    result = (await simulator.run(_BGE_BASE, {"text": "one two"})).json()["result"]
    assert result["shape"] == [1, 768]
    assert result["pooling"] == "mean"
    assert result["usage"]["prompt_tokens"] == 2


async def test_texts_that_share_words_are_near(simulator: Simulator) -> None:
    texts = ["pause the queue", "queues that pause", "boundary layer flow"]
    answer = await simulator.run(_BGE_M3, {"text": texts})
    vectors = np.array(answer.json()["result"]["data"])
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)
