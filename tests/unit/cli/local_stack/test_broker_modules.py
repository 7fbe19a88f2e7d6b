from pathlib import Path

import pytest

from cli.local_stack.broker_modules import lay_out
from cli.local_stack.broker_programs import BrokerPrograms

_NEEDS_BY_PLUGIN = {
    "rabbit-4.2.0": "kernel,stdlib,rabbit_common",
    "rabbit_common-4.2.0": "kernel,\n  crypto",
    "rabbitmq_prelaunch-4.2.0": "kernel",
    "rabbitmq_management-4.2.0": "rabbit,cowboy",
    "cowboy-2.1.0": "kernel",
    "rabbitmq_mqtt-4.2.0": "rabbit",
}
_NEEDS_BY_LIBRARY = {"kernel-9.1": "", "crypto-5.5": "kernel", "wx-2.4": "kernel"}


def _application(folder: Path, name: str, needs: str) -> None:
    ebin = folder / name / "ebin"
    ebin.mkdir(parents=True)
    plain = name.partition("-")[0]
    text = f'{{application, {plain}, [{{vsn, "1"}}, {{applications, [{needs}]}}, {{env, []}}]}}.'
    (ebin / f"{plain}.app").write_text(text)
    (ebin / f"{plain}_one.beam").touch()


@pytest.fixture
def programs(tmp_path: Path) -> BrokerPrograms:
    server = tmp_path / "rabbitmq" / "sbin" / "rabbitmq-server"
    server.parent.mkdir(parents=True)
    server.write_text("#!/bin/sh\n")
    (tmp_path / "rabbitmq" / "escript").mkdir()
    for name, needs in _NEEDS_BY_PLUGIN.items():
        _application(tmp_path / "rabbitmq" / "plugins", name, needs)
    for name, needs in _NEEDS_BY_LIBRARY.items():
        _application(tmp_path / "erlang", name, needs)
    return BrokerPrograms(server, tmp_path / "epmd", tmp_path / "erlang")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    folder.mkdir()
    return folder


def test_the_node_sees_the_plugins_that_it_needs(programs: BrokerPrograms, node: Path) -> None:
    lay_out(programs, node)
    seen = {path.name for path in (node / "server" / "plugins").iterdir()}
    assert seen == _NEEDS_BY_PLUGIN.keys() - {"rabbitmq_mqtt-4.2.0"}


def test_the_rest_of_the_installation_is_there(programs: BrokerPrograms, node: Path) -> None:
    start = lay_out(programs, node)
    assert start.server == node / "server" / "sbin" / "rabbitmq-server"
    assert start.server.read_text() == "#!/bin/sh\n"
    assert (node / "server" / "escript").is_dir()


def test_all_modules_are_loaded_at_once(programs: BrokerPrograms, node: Path) -> None:
    start = lay_out(programs, node)
    assert start.environment == {"ERL_AFLAGS": "-args_file modules.args"}
    words = (node / "modules.args").read_text().split()
    assert words[:3] == ["-s", "code", "ensure_modules_loaded"]
    assert {"rabbit_one", "cowboy_one", "kernel_one", "crypto_one"} <= {*words}
    assert not {"rabbitmq_mqtt_one", "wx_one"} & {*words}


def test_it_may_be_laid_out_again(programs: BrokerPrograms, node: Path) -> None:
    assert lay_out(programs, node) == lay_out(programs, node)


def test_without_its_libraries_the_plugins_are_still_chosen(
    programs: BrokerPrograms, node: Path
) -> None:
    start = lay_out(BrokerPrograms(programs.server, programs.port_mapper), node)
    assert start.server != programs.server
    assert "kernel_one" not in (node / "modules.args").read_text()


def test_an_unusual_installation_is_used_as_it_is(tmp_path: Path, node: Path) -> None:
    server = tmp_path / "elsewhere" / "rabbitmq-server"
    server.parent.mkdir()
    server.touch()
    start = lay_out(BrokerPrograms(server, tmp_path / "epmd"), node)
    assert (start.server, start.environment) == (server, {})
    assert [*node.iterdir()] == []
