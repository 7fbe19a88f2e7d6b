"""What the demo looks like: numbered steps, ticked facts, and one live part at a time."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_INDENT = 4
_FILE_WIDTH = 100
_FRAMES_PER_SECOND = 12


class Screen:
    """Prints to a terminal, or plainly to a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        if not console.is_terminal:
            console.width = _FILE_WIDTH

    @property
    def width(self) -> int:
        """Return how many characters a line of the live part can hold."""
        return self._console.width - _INDENT

    def title(self, text: str) -> None:
        """Print the first line."""
        self._console.print(f"\n[bold cyan]{escape(text)}[/]")

    def step(self, number: int, text: str) -> None:
        """Begin a step."""
        self._console.print(f"\n[bold]{number}  {escape(text)}[/]")

    def fact(self, text: str) -> None:
        """Print something that has been checked."""
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row("  [green]✓[/]", escape(text))
        self._console.print(line)

    def note(self, text: str) -> None:
        """Print something that is only said."""
        self._console.print(Padding(f"[dim]{escape(text)}[/]", (0, 0, 0, _INDENT), expand=False))

    def failure(self, text: str) -> None:
        """Print why the demo failed."""
        self._console.print(f"\n[bold red]✗ The demo failed:[/] {escape(text)}")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; columns of headings that begin with `>` are flush right and never cut."""
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
        for heading, *cells in zip(headings, *rows, strict=True):
            name = heading.removeprefix(">")
            if name == heading:
                table.add_column(escape(name))
            else:
                widest = max(map(len, (name, *cells)))
                table.add_column(escape(name), no_wrap=True, justify="right", min_width=widest)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print(Padding(table, (0, 0, 0, _INDENT), expand=False))

    @contextmanager
    def live(self, render: Callable[[], RenderableType]) -> Generator[None]:
        """Show something that changes; outside a terminal only its last state."""

        def indented() -> RenderableType:
            return Padding(render(), (0, 0, 0, _INDENT), expand=False)

        if not self._console.is_terminal:
            yield
            self._console.print(indented())
            return
        with Live(
            get_renderable=indented,
            console=self._console,
            refresh_per_second=_FRAMES_PER_SECOND,
        ):
            yield

    @contextmanager
    def progress(self, text: str, total: int) -> Generator[Callable[[int], None]]:
        """Show a bar; the given function moves it."""
        columns = (TextColumn("   "), TextColumn(text), BarColumn(40), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as bar:
            shown = bar.add_task(text, total=total)
            yield lambda done: bar.update(shown, completed=done)
