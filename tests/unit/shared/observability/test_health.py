import httpx
import pytest

from shared.domain.errors import DatabaseUnavailableError
from shared.observability.health import health_app
from shared.observability.metrics import Metrics


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def away() -> bool:
    raise DatabaseUnavailableError("away")


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/healthz", 200, "alive"),
        ("/readyz", 503, '"failed":["broker","database"]'),
        ("/metrics", 200, "sluiceway_watchers"),
        ("/", 404, "not found"),
    ],
)
async def test_each_address_answers(path: str, status: int, part: str) -> None:
    app = health_app({"disk": yes, "broker": no, "database": away}, Metrics())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert part in answer.text


async def test_a_process_with_all_it_needs_is_ready() -> None:
    transport = httpx.ASGITransport(health_app({"disk": yes}, Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        assert (await client.get("/readyz")).json() == {"status": "ready"}
