from io import StringIO

from rich.console import Console
from rich.text import Text

from cli.demo.screen import Screen


def _printed(*, terminal: bool = False) -> tuple[Screen, StringIO]:
    file = StringIO()
    return Screen(Console(file=file, force_terminal=terminal, highlight=False)), file


def test_brackets_in_a_text_are_printed_as_they_are() -> None:
    screen, file = _printed()
    screen.title("a [red] title")
    screen.step(1, "a [red] step")
    screen.fact("a [red] fact")
    screen.note("a [red] note")
    screen.failure("a [red] failure")
    screen.table(("[red]",), [("[blue]",)])
    assert file.getvalue().count("[red]") == 6
    assert "[blue]" in file.getvalue()


def test_numbers_are_flush_right_and_never_cut() -> None:
    screen, file = _printed()
    screen.table(("name", ">cost"), [("x" * 200, "$0.000000000001"), ("y", "$1")])
    printed = file.getvalue()
    assert "$0.000000000001\n" in printed
    assert "             $1\n" in printed


def test_outside_a_terminal_only_the_last_state_is_printed() -> None:
    screen, file = _printed()
    seen = ["first"]
    with screen.live(lambda: Text(seen[-1])):
        seen.append("last")
    assert file.getvalue() == "    last\n"


def test_on_a_terminal_the_live_part_ends_on_its_last_state() -> None:
    screen, file = _printed(terminal=True)
    seen = ["first"]
    with screen.live(lambda: Text(seen[-1])):
        seen.append("last")
    assert "last" in file.getvalue()


def test_progress_ends_where_it_was_moved_to() -> None:
    screen, file = _printed()
    with screen.progress("embedded", 10) as show:
        show(10)
    assert "10/10" in file.getvalue()
