"""A stack's user and its admin, over HTTP only."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx
from pydantic import BaseModel, JsonValue

from cli.local_stack.ready_file import ReadyFile
from services.api.schemas.admin import QueueBody, QueueList
from services.api.schemas.invoices import InvoiceView
from services.api.schemas.jobs import JobAccepted, JobBody
from services.api.schemas.money import (
    BudgetView,
    LedgerPage,
    LedgerRow,
    ReconciliationView,
    UsageList,
)
from shared.domain.jobs import FINAL_STATUSES
from simulator.answers import compose

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.05


class BilledCall(BaseModel):
    """One row of the simulator's bill."""

    request_id: str
    provider: str
    model: str
    cost_usd: str
    completed: bool
    at: datetime


class Bill(BaseModel):
    """What the providers will want."""

    data: list[BilledCall]
    total_usd: str


@dataclass(frozen=True, slots=True)
class StackClient:
    """Talks to a stack as its user and as its admin."""

    ready: ReadyFile
    http: httpx.AsyncClient

    def login(self, tier: str) -> dict[str, str]:
        """Return the headers of a tier's key."""
        keys: dict[str, str] = self.ready.keys.model_dump()
        return {"Authorization": f"Bearer {keys[tier]}"}

    @property
    def admin_login(self) -> dict[str, str]:
        """Return the admin's headers."""
        return {"Authorization": f"Bearer {self.ready.admin_key}"}

    async def submit(
        self,
        prompt: str,
        *,
        tier: str = "paid",
        key: str | None = None,
        api: str | None = None,
        **more: JsonValue,
    ) -> str:
        """Hand in a chat job and return its id."""
        headers = self.login(tier) | ({} if key is None else {"Idempotency-Key": key})
        body = {"messages": [{"role": "user", "content": prompt}], **more}
        answer = await self.http.post(
            f"{api or self.ready.api}/v1/chat/jobs", json=body, headers=headers
        )
        assert answer.status_code == 202, answer.text
        return JobAccepted.model_validate_json(answer.content).id

    async def embed(self, texts: list[str], *, tier: str = "paid") -> str:
        """Hand in an embeddings job and return its id."""
        answer = await self.http.post(
            f"{self.ready.api}/v1/embeddings/jobs",
            json={"input": texts},
            headers=self.login(tier),
        )
        assert answer.status_code == 202, answer.text
        return JobAccepted.model_validate_json(answer.content).id

    async def job(self, job_id: str, *, tier: str = "paid") -> JobBody:
        """Read a job."""
        answer = await self.http.get(f"{self.ready.api}/v1/jobs/{job_id}", headers=self.login(tier))
        assert answer.status_code == 200, answer.text
        return JobBody.model_validate_json(answer.content)

    async def finished(
        self, job_id: str, *, tier: str = "paid", seconds: float = _PATIENCE_SECONDS
    ) -> JobBody:
        """Return the job once it is over; an API or a database that is away is asked again."""
        deadline = time.monotonic() + seconds
        while True:
            seen = await self._job_or_why_not(job_id, tier)
            if isinstance(seen, JobBody) and seen.status in FINAL_STATUSES:
                return seen
            assert time.monotonic() < deadline, f"not over within {seconds} s: {seen!r}"
            await asyncio.sleep(_POLL_SECONDS)

    async def _job_or_why_not(self, job_id: str, tier: str) -> JobBody | str:
        url = f"{self.ready.api}/v1/jobs/{job_id}"
        try:
            answer = await self.http.get(url, headers=self.login(tier))
        except httpx.TransportError as error:
            return repr(error)
        if answer.status_code == 503 and "retry-after" in answer.headers:
            return answer.text
        assert answer.status_code == 200, answer.text
        return JobBody.model_validate_json(answer.content)

    async def queue(self, name: str) -> QueueBody:
        """Read a queue."""
        answer = await self._admin("GET", "queues")
        queues = QueueList.model_validate_json(answer.content).data
        return next(one for one in queues if one.name == name)

    async def move_gate(self, name: str, verb: str) -> None:
        """Pause, resume, slow or close a queue."""
        await self._admin("POST", f"queues/{name}/{verb}", {"reason": "a test"})

    async def budget(self, scope: str) -> BudgetView:
        """Read a budget."""
        return BudgetView.model_validate_json(
            (await self._admin("GET", f"budgets/{scope}")).content
        )

    async def put_budget(self, scope: str, body: Mapping[str, JsonValue]) -> None:
        """Replace a budget."""
        await self._admin("PUT", f"budgets/{scope}", body)

    async def reconciliation(self) -> ReconciliationView:
        """Ask whether attempts and ledger agree."""
        return ReconciliationView.model_validate_json(
            (await self._admin("GET", "reconciliation")).content
        )

    async def usage(self, group_by: str) -> UsageList:
        """Read sums from the rollups."""
        answer = await self._admin("GET", f"usage?group_by={group_by}")
        return UsageList.model_validate_json(answer.content)

    async def ledger(self) -> list[LedgerRow]:
        """Read the whole ledger, page by page."""
        rows: list[LedgerRow] = []
        after = ""
        while True:
            page = LedgerPage.model_validate_json(
                (await self._admin("GET", f"ledger?limit=1000{after}")).content
            )
            rows += page.data
            if not page.has_more:
                return rows
            after = f"&after={page.next}"

    async def import_invoice(self, provider: str, csv: str) -> InvoiceView:
        """Hold the ledger against an invoice."""
        answer = await self.http.post(
            f"{self.ready.api}/v1/admin/reconciliation/invoices?provider={provider}",
            content=csv,
            headers=self.admin_login,
        )
        assert answer.status_code == 201, answer.text
        return InvoiceView.model_validate_json(answer.content)

    async def confirm_invoice(self, invoice_id: str) -> InvoiceView:
        """Book an invoice's adjustments."""
        answer = await self._admin("POST", f"reconciliation/invoices/{invoice_id}/confirm")
        return InvoiceView.model_validate_json(answer.content)

    async def bill(self) -> Bill:
        """Read the simulator's bill."""
        answer = await self.http.get(f"{self.ready.simulator}/_bill")
        return Bill.model_validate_json(answer.raise_for_status().content)

    async def misbehave(self, provider: str, **behaviour: JsonValue) -> None:
        """Set how a simulated provider behaves."""
        answer = await self.http.put(f"{self.ready.simulator}/_control", json={provider: behaviour})
        answer.raise_for_status()

    async def behave(self) -> None:
        """Let both simulated providers behave again."""
        (await self.http.delete(f"{self.ready.simulator}/_control")).raise_for_status()
        for provider in ("cloudflare", "openai"):
            await self._admin("POST", f"providers/{provider}/reset")

    async def _admin(
        self, method: str, path: str, body: Mapping[str, JsonValue] | None = None
    ) -> httpx.Response:
        answer = await self.http.request(
            method, f"{self.ready.api}/v1/admin/{path}", json=body, headers=self.admin_login
        )
        assert answer.is_success, answer.text
        return answer


@asynccontextmanager
async def stack_client(ready: ReadyFile) -> AsyncGenerator[StackClient]:
    """Give a client for the time of the block."""
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(timeout=30, limits=limits) as http:
        yield StackClient(ready, http)


def right_answer(prompt: str) -> str:
    """Return what the simulated model says to a prompt."""
    return compose(prompt, None, None).text


def text_of(job: JobBody) -> str:
    """Return the text of a chat job's result."""
    assert isinstance(job.result, dict), job
    message = job.result["message"]
    assert isinstance(message, dict), job
    return str(message["content"])
