"""What a private node reads at its start: settings, plugins, name and password.

Everything lies in the node's own folder, nothing of the system's configuration is read, and
every listener is on the loopback interface. Name and password are made once per folder, because
the node's data belongs to its name.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cli.local_stack.atomic_file import write_private
from cli.local_stack.environment import inherited_environment
from cli.local_stack.ports import LOOPBACK, free_ports

_USER = "sluiceway"
_SETTINGS = """\
listeners.tcp.1 = {host}:{amqp}
management.tcp.ip = {host}
management.tcp.port = {management}
default_user = {user}
default_pass = {password}
consumer_timeout = 3600000
log.file.level = warning
vm_memory_high_watermark.relative = 0.3
disk_free_limit.absolute = 50MB
"""


@dataclass(frozen=True, slots=True)
class BrokerPorts:
    """Where the node listens."""

    amqp: int
    management: int
    distribution: int
    port_mapper: int


@dataclass(frozen=True, slots=True)
class BrokerIdentity:
    """What stays the same between two runs of a node."""

    node: str
    user: str
    password: str


def pick_ports() -> BrokerPorts:
    """Return four free ports."""
    return BrokerPorts(*free_ports(4))


def broker_identity(folder: Path) -> BrokerIdentity:
    """Return the identity kept in the folder, made at the first call."""
    file = folder / "identity.json"
    if file.exists():
        kept: dict[str, str] = json.loads(file.read_text("utf-8"))
        return BrokerIdentity(kept["node"], kept["user"], kept["password"])
    made = BrokerIdentity(
        node=f"sluiceway-{secrets.token_hex(4)}@localhost",
        user=_USER,
        password=secrets.token_hex(16),
    )
    write_private(
        file, json.dumps({"node": made.node, "user": made.user, "password": made.password})
    )
    return made


def write_settings(folder: Path, identity: BrokerIdentity, ports: BrokerPorts) -> None:
    """Write the files that the node reads at its start."""
    text = _SETTINGS.format(
        host=LOOPBACK,
        amqp=ports.amqp,
        management=ports.management,
        user=identity.user,
        password=identity.password,
    )
    write_private(folder / "rabbitmq.conf", text)
    write_private(folder / "enabled_plugins", "[rabbitmq_management].\n")


def node_environment(folder: Path, identity: BrokerIdentity, ports: BrokerPorts) -> dict[str, str]:
    """Return the environment of the node and of its port mapper."""
    inherited = {
        name: value
        for name, value in inherited_environment().items()
        if not name.startswith(("RABBITMQ_", "ERL_"))
    }
    schedulers = max(1, (os.cpu_count() or 1) // 2)
    return inherited | {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": identity.node,
        "RABBITMQ_NODE_PORT": str(ports.amqp),
        "RABBITMQ_DIST_PORT": str(ports.distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        # The script then becomes the node instead of staying as its parent: one process to watch.
        "RUNNING_UNDER_SYSTEMD": "true",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            # Half of the cores: on two, the second scheduler mostly wakes the first (a fifth of the
            # node's processor time, measured 2026-11). No spinning while there is nothing to do.
            f"+S {schedulers}:{schedulers} +sbwt none +sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1} "
            # At its end the management plugin waits 5 s for an answer that cannot come (3.10); by
            # then all queues are closed.
            "-kernel shutdown_timeout 1000"
        ),
        "ERL_CRASH_DUMP": str(folder / "log" / "erl_crash.dump"),
        "ERL_EPMD_PORT": str(ports.port_mapper),
        "ERL_EPMD_ADDRESS": LOOPBACK,
    }
