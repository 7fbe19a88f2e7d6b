import subprocess
import sys
from pathlib import Path

from cli.local_stack.environment import inherited_environment
from cli.local_stack.services import PROJECT


def _launch(folder: Path, program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    (folder / "started.py").write_text(program)
    return subprocess.run(
        [sys.executable, "-m", "cli.local_stack.launch", "started", *words],
        env=inherited_environment() | {"PYTHONPATH": f"{PROJECT}:{folder}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_collector_rests_only_while_modules_load(tmp_path: Path) -> None:
    program = "import gc\nprint(gc.isenabled())\ndef main(): print(gc.isenabled())\n"
    assert _launch(tmp_path, program).stdout.split() == ["False", "True"]


def test_it_ends_as_the_service_does(tmp_path: Path) -> None:
    assert _launch(tmp_path, "def main(): return 3\n").returncode == 3
    assert _launch(tmp_path, "def main(): pass\n").returncode == 0


def test_it_sees_the_words_after_its_name(tmp_path: Path) -> None:
    program = "import sys\ndef main(): print(sys.argv[1:])\n"
    assert _launch(tmp_path, program, "one", "two").stdout.strip() == "['one', 'two']"
