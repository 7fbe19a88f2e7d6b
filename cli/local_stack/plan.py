"""Decides what a stack consists of, before anything is started.

Providers are either both real or both simulated, so that a bill is never half invented.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.local_stack.atomic_file import write_private
from cli.local_stack.ports import free_ports, is_listening
from cli.local_stack.services import DEFAULT_SCALE, PROJECT
from shared.settings import RoutingSettings, StackSettings, load

DEFAULT_API_PORT = 8080
_MOST_PROCESSES = 64
_CREDENTIALS = ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "OPENAI_API_KEY")


class UnusablePlanError(Exception):
    """The stack cannot start as asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What the user asked for.

    Attributes:
        api_port: None takes the usual port, or a free one when that is taken.
        discard: Throw the data of broker and database away at the end, which is quicker.
    """

    home: Path
    ready_file: Path
    api_port: int | None = None
    scale: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_SCALE))
    discard: bool = False


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What will be started; an empty address means a server of the stack's own."""

    api_port: int
    simulator_port: int | None
    admin_key: str = field(repr=False)
    given: StackSettings = field(repr=False)
    routing: RoutingSettings


def make_plan(options: StackOptions) -> StackPlan:
    """Return the plan of a stack.

    Raises:
        UnusablePlanError: The port is taken, or only some credentials are set.
    """
    given = load(StackSettings)
    simulated = _is_simulated(given)
    return StackPlan(
        api_port=_api_port(options.api_port),
        simulator_port=free_ports(1)[0] if simulated else None,
        admin_key=given.admin_key or _kept_admin_key(options.home / "admin.key"),
        given=given,
        routing=load(RoutingSettings),
    )


def parse_scale(text: str) -> dict[str, int]:
    """Return how many processes of each service `api=1,inference=2` asks for.

    Raises:
        ValueError: An unknown service, or a count that is not 0 to 64.
    """
    scale = dict(DEFAULT_SCALE)
    for part in filter(None, text.split(",")):
        service, _, count = part.partition("=")
        if service not in scale or not count.isdecimal() or int(count) > _MOST_PROCESSES:
            known = ", ".join(scale)
            raise ValueError(f"{part!r}: expected SERVICE=COUNT with a service of {known}")
        scale[service] = int(count)
    if scale["api"] == 0:
        raise ValueError("a stack needs at least one api")
    return scale


def service_settings(plan: StackPlan) -> dict[str, str]:
    """Return the settings that every service process gets, addresses of servers aside."""
    return {
        "SLUICEWAY_ADMIN_KEY": plan.admin_key,
        "SLUICEWAY_PRICES": str(PROJECT / plan.routing.prices),
        "SLUICEWAY_ROUTING": str(PROJECT / plan.routing.routing),
    }


def _is_simulated(given: StackSettings) -> bool:
    values = (given.cloudflare_account_id, given.cloudflare_api_token, given.openai_api_key)
    missing = [name for name, value in zip(_CREDENTIALS, values, strict=True) if not value]
    if missing and len(missing) < len(_CREDENTIALS):
        raise UnusablePlanError(
            f"{', '.join(missing)} missing: set all of {', '.join(_CREDENTIALS)} for the real "
            "providers, or none for the simulator"
        )
    return bool(missing)


def _api_port(wanted: int | None) -> int:
    if wanted is None:
        return free_ports(1)[0] if is_listening(DEFAULT_API_PORT) else DEFAULT_API_PORT
    if wanted == 0:
        return free_ports(1)[0]
    if is_listening(wanted):
        raise UnusablePlanError(f"port {wanted} is taken: pass another --port, or 0 for a free one")
    return wanted


def _kept_admin_key(file: Path) -> str:
    if not file.exists():
        write_private(file, f"sk-admin-{secrets.token_urlsafe(24)}")
    return file.read_text("utf-8")
