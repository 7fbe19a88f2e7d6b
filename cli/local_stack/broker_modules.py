"""Lays out what a node needs of RabbitMQ's installation, so that it boots in a third of the time.

At its boot a node loads every module of every application that it depends on, one by one, and looks
for each in the folder of every plugin that is installed: tens of thousands of look-ups that fail.
Here it finds the plugins that it needs and no others, and loads their modules all at once.
An installation that looks otherwise than expected is used as it is.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.local_stack.broker_programs import BrokerPrograms

_ROOTS = frozenset({"rabbit", "rabbitmq_prelaunch", "rabbitmq_management"})
_PLUGINS = "plugins"
_NEEDS = re.compile(r"\{\s*(?:included_|optional_)?applications\s*,\s*\[([^\]]*)\]")
_ARGUMENTS_FILE = "modules.args"


@dataclass(frozen=True, slots=True)
class NodeStart:
    """How to start a node: its script, and what its environment needs beside the usual."""

    server: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


def lay_out(programs: BrokerPrograms, folder: Path) -> NodeStart:
    """Make the node's own view of the installation in its folder; doing it again makes it anew.

    Args:
        programs: The installation.
        folder: The node's, which must also be its working directory.
    """
    script = programs.server.resolve()
    installation = script.parent.parent
    plugins = _applications(installation / _PLUGINS)
    if not plugins.keys() >= _ROOTS:
        return NodeStart(programs.server)
    known = plugins if programs.libraries is None else _applications(programs.libraries) | plugins
    needed = _needed(known)
    view = folder / "server"
    shutil.rmtree(view, ignore_errors=True)
    _link(view / _PLUGINS, [path for name, path in plugins.items() if name in needed])
    _link(view, [path for path in installation.iterdir() if path.name != _PLUGINS])
    modules = [file.stem for name in needed for file in known[name].glob("ebin/*.beam")]
    words = ["-s code ensure_modules_loaded", *sorted(modules)]
    (folder / _ARGUMENTS_FILE).write_text("\n".join(words) + "\n", "utf-8")
    return NodeStart(
        server=view / script.parent.name / script.name,
        environment={"ERL_AFLAGS": f"-args_file {_ARGUMENTS_FILE}"},
    )


def _applications(folder: Path) -> dict[str, Path]:
    """Return the unpacked applications in a folder by name; they are called `name-version`."""
    if not folder.is_dir():
        return {}
    named = {path.name.partition("-")[0]: path for path in sorted(folder.iterdir())}
    return {name: path for name, path in named.items() if _description(path, name).is_file()}


def _description(application: Path, name: str) -> Path:
    return application / "ebin" / f"{name}.app"


def _needed(known: Mapping[str, Path]) -> set[str]:
    """Return the applications that the node depends on, as far as they are known."""
    needed: set[str] = set()
    left = [*_ROOTS]
    while left:
        name = left.pop()
        if name in known and name not in needed:
            needed.add(name)
            text = _description(known[name], name).read_text("utf-8")
            left.extend(word for part in _NEEDS.findall(text) for word in re.findall(r"\w+", part))
    return needed


def _link(folder: Path, targets: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for target in targets:
        (folder / target.name).symlink_to(target)
