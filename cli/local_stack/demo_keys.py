"""Makes the three keys of a stack through its admin API, once per home."""

from pathlib import Path

import httpx
from pydantic import BaseModel

from cli.local_stack.atomic_file import write_private
from cli.local_stack.ready_file import DemoKeys

_TIERS = ("free", "paid", "premium")
_NO_LIMITS = {"requests_per_minute": None, "requests_per_day": None, "tokens_per_minute": None}


class _CreatedKey(BaseModel):
    key: str


async def demo_keys(api: str, admin_key: str, file: Path) -> DemoKeys:
    """Return the keys kept in `file`, or make new ones when the API doesn't know those.

    Raises:
        httpx.HTTPError: The API refused or did not answer.
    """
    async with httpx.AsyncClient(base_url=api, timeout=30) as client:
        kept = _kept(file)
        if kept is not None and await _is_known(client, kept.free):
            return kept
        made = {tier: await _create(client, admin_key, tier) for tier in _TIERS}
    keys = DemoKeys.model_validate(made)
    write_private(file, keys.model_dump_json())
    return keys


def _kept(file: Path) -> DemoKeys | None:
    try:
        return DemoKeys.model_validate_json(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None


async def _is_known(client: httpx.AsyncClient, key: str) -> bool:
    answer = await client.get("/v1/jobs", params={"limit": 1}, headers=_login(key))
    return answer.is_success


async def _create(client: httpx.AsyncClient, admin_key: str, tier: str) -> str:
    wanted = {"user_id": f"demo-{tier}", "tier": tier, "scopes": ["jobs"], "limits": _NO_LIMITS}
    answer = await client.post("/v1/admin/keys", json=wanted, headers=_login(admin_key))
    return _CreatedKey.model_validate_json(answer.raise_for_status().content).key


def _login(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
