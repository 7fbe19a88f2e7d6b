"""What every step stands on: the screen, clients with each key, and what was said so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx

from cli.api_client import JsonObject
from cli.demo.answers import Accepted, Budget
from cli.demo.client import Client
from cli.demo.conversation import Conversation
from cli.demo.screen import Screen
from cli.demo.simulator import Simulator
from cli.local_stack.ready_file import ReadyFile
from shared.domain.money import decimal_string
from shared.messages.frames import JobCompleted

CAP_USD = Decimal("0.05")
"""What the demo may spend at most, also when real providers bill it."""
_LONGEST_ANSWER_TOKENS = 160


@dataclass(frozen=True, slots=True)
class Stage:
    """One running stack, seen by a client.

    Attributes:
        simulator: None when the real providers answer.
        logs: Where the stack's processes write.
        answered: Every chat job that has ended.
    """

    screen: Screen
    admin: Client
    clients: Mapping[str, Client]
    simulator: Simulator | None
    logs: Path
    answered: list[JobCompleted] = field(default_factory=list[JobCompleted])

    async def ask(self, tier: str, question: str) -> Conversation:
        """Submit a chat job as the tier's user."""
        body: JsonObject = {
            "messages": [{"role": "user", "content": question}],
            "max_tokens": _LONGEST_ANSWER_TOKENS,
        }
        client = self.clients[tier]
        job = await client.send("POST", "/v1/chat/jobs", Accepted, body)
        return Conversation(client, job.id, tier)

    async def listen(self, conversation: Conversation) -> JobCompleted:
        """Follow a chat job to its end and remember it."""
        completed = await conversation.follow()
        self.answered.append(completed)
        return completed

    async def put_budget(self, *thresholds: JsonObject) -> Budget:
        """Replace the global budget of the day; the cap always stays."""
        body: JsonObject = {
            "window": "day",
            "limit_usd": decimal_string(CAP_USD),
            "thresholds": [*thresholds],
        }
        return await self.admin.send("PUT", "/v1/admin/budgets/global", Budget, body)


def make_stage(screen: Screen, http: httpx.AsyncClient, ready: ReadyFile, logs: Path) -> Stage:
    """Return the stage of a running stack."""
    keys = {"free": ready.keys.free, "paid": ready.keys.paid, "premium": ready.keys.premium}
    return Stage(
        screen=screen,
        admin=Client(http, ready.api, ready.admin_key),
        clients={tier: Client(http, ready.api, key) for tier, key in keys.items()},
        simulator=Simulator(Client(http, ready.simulator)) if ready.simulator else None,
        logs=logs,
    )
