"""Makes a broker available: `python -m cli.local_stack.install_broker`, as `make` runs it.

In this order: RABBITMQ_URL, a `rabbitmq-server` on the machine, installation with apt or
Homebrew, Docker, and else one line that says what to do. A package that is installed here starts
no system-wide broker: the private node needs only its programs.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cli.local_stack.broker_programs import find_broker_programs
from cli.local_stack.environment import inherited_environment
from shared.settings import StackSettings, load

_APT_OPTIONS = ("-y", "-qq", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends")


def main() -> int:
    """Make a broker available; 0 when there is one."""
    if load(StackSettings).rabbitmq_url or find_broker_programs() is not None:
        return 0
    install = _installation()
    if install and _succeeds(install) and find_broker_programs() is not None:
        return 0
    if find_docker() is not None:
        _say("no rabbitmq-server here: the broker will run in Docker")
        return 0
    _say(missing_broker_message())
    return 1


def find_docker() -> Path | None:
    """Return the docker command if its daemon answers."""
    found = shutil.which("docker")
    if found is None:
        return None
    answer = subprocess.run([found, "info"], capture_output=True, timeout=20, check=False)
    return Path(found) if answer.returncode == 0 else None


def missing_broker_message() -> str:
    """Say what to do when no broker can be had."""
    return (
        "no RabbitMQ found: install it (apt install rabbitmq-server, brew install rabbitmq), "
        "start Docker, or set RABBITMQ_URL and RABBITMQ_MANAGEMENT_URL"
    )


def _installation() -> list[list[str]]:
    """Return the commands that install the package here; none when we don't know how."""
    if apt := shutil.which("apt-get"):
        _say("installing rabbitmq-server with apt")
        update = [*_as_root(), apt, "update", "-qq"]
        # RUNLEVEL=1: the package's scripts then start no system-wide broker (invoke-rc.d(8)).
        quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
        install = [*_as_root(), *quiet, apt, "install", *_APT_OPTIONS, "rabbitmq-server"]
        return [update, install, *_stop_system_broker()]
    if brew := shutil.which("brew"):
        _say("installing rabbitmq with Homebrew")
        return [[brew, "install", "--quiet", "rabbitmq"]]
    return []


def _stop_system_broker() -> list[list[str]]:
    """Return what ends the broker that systemd starts at an installation, whatever RUNLEVEL says.

    The port mapper goes too, unless something else on this machine uses Erlang already.
    """
    if not Path("/run/systemd/system").is_dir():
        return []
    units = ["rabbitmq-server"]
    if shutil.which("epmd") is None:
        units += ["epmd.socket", "epmd.service"]
    # A unit that this distribution lacks must not keep the others running.
    stop = "for unit; do systemctl --quiet disable --now $unit 2>/dev/null; done; true"
    return [[*_as_root(), "sh", "-c", stop, "sh", *units]]


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def _succeeds(commands: list[list[str]]) -> bool:
    for command in commands:
        try:
            ended = subprocess.run(
                command, env=inherited_environment(), stdout=subprocess.DEVNULL, check=False
            )
        except OSError:
            return False
        # A stale package list is no reason to give up: the installation itself decides.
        if ended.returncode != 0 and "update" not in command:
            return False
    return True


def _say(line: str) -> None:
    sys.stderr.write(f"sluiceway: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
