"""The demo's hand on the simulated providers: their faults, their pace and their bill."""

from pydantic import BaseModel

from cli.api_client import JsonObject
from cli.demo.answers import Bill
from cli.demo.client import Client

_LATENCY_MS = 120
_TOKENS_PER_SECOND = 30


class _Control(BaseModel):
    """What the simulator answers; the demo reads none of it."""


class Simulator:
    """Stands in for both providers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def set_pace(self) -> None:
        """Let both providers write at a pace that people can read."""
        pace: JsonObject = {"latency_ms": _LATENCY_MS, "tokens_per_second": _TOKENS_PER_SECOND}
        await self._control({"cloudflare": pace, "openai": pace})

    async def set_cloudflare(
        self, mode: str, *, probability: float = 1.0, after_chunks: int = 0
    ) -> None:
        """Let a share of Cloudflare's calls fail."""
        fault: JsonObject = {"mode": mode, "probability": probability, "after_chunks": after_chunks}
        await self._control({"cloudflare": fault})

    async def bill(self) -> Bill:
        """Return what it would have billed so far."""
        return await self._client.get("/_bill/total", Bill)

    async def _control(self, changes: JsonObject) -> None:
        await self._client.send("PUT", "/_control", _Control, changes)
