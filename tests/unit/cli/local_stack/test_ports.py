import socket
import subprocess
import sys

from cli.local_stack.ports import LOOPBACK, free_ports, is_listening


def test_ports_picked_together_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_picked_port_can_be_listened_on() -> None:
    (port,) = free_ports(1)
    with socket.create_server((LOOPBACK, port)):
        assert is_listening(port)


def test_nothing_listens_on_a_free_port() -> None:
    (port,) = free_ports(1)
    assert not is_listening(port)


def test_no_port_is_picked_twice() -> None:
    assert not set(free_ports(5)) & set(free_ports(5))


def test_another_process_picks_other_ports() -> None:
    mine = set(free_ports(250))
    script = "from cli.local_stack.ports import free_ports; print(*free_ports(250))"
    theirs = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not mine & {int(port) for port in theirs.stdout.split()}
