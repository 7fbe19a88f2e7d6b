"""On which line each key of a TOML file stands, which `tomllib` does not tell.

Only what `tomllib` has read is read here again, so that its syntax needs no second check.
Invariant: every table, key and element has a line, under its path with dots between the parts.
"""

import re
import tomllib
from collections.abc import Mapping

_Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"{3}(?:\\.|[^\\])*?"{3,5}' r"|'{3}.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")


def lines_by_key(text: str) -> Mapping[str, int]:
    """Return the line, from 1, of each key path of a valid TOML text.

    Elements of arrays count from 0: `limits.0.provider` is a key of the first `[[limits]]`.
    """
    reader = _Reader(text)
    reader.read()
    return {".".join(map(str, path)): line for path, line in reader.lines.items()}


class _Reader:
    """Reads a text once, from its begin to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._sizes: dict[_Path, int] = {}
        self.lines: dict[_Path, int] = {}

    def read(self) -> None:
        table: _Path = ()
        while self._skip(_BLANK) is not None and self._at < len(self._text):
            if self._takes("[["):
                table = self._element_of(self._keys())
                self._at += len("]]")
            elif self._takes("["):
                table = self._table(self._keys())
                self._at += len("]")
            else:
                self._pair(table)

    def _table(self, keys: list[str]) -> _Path:
        """Return where a header leads: through an array of tables to its last element."""
        path: _Path = ()
        for key in keys:
            path = self._at_last((*path, key))
        self._note(path)
        return path

    def _element_of(self, keys: list[str]) -> _Path:
        """Return the new element of an array of tables."""
        path = (*self._table(keys[:-1]), keys[-1])
        self._sizes[path] = self._sizes.get(path, 0) + 1
        path = self._at_last(path)
        self._note(path)
        return path

    def _at_last(self, path: _Path) -> _Path:
        return (*path, self._sizes[path] - 1) if path in self._sizes else path

    def _pair(self, table: _Path) -> None:
        path = (*table, *self._keys())
        self._note(path)
        self._at += len("=")
        self._value(path)

    def _value(self, path: _Path) -> None:
        self._skip(_BLANK)
        self._note(path)
        if self._takes("["):
            self._array(path)
        elif self._takes("{"):
            self._inline_table(path)
        elif self._skip(_STRING) is None:
            self._skip(_SCALAR)

    def _array(self, path: _Path) -> None:
        number = 0
        while not self._closes("]"):
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: _Path) -> None:
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        """Tell whether an array or inline table ends here; a comma before it is passed over."""
        self._skip(_BLANK)
        if self._takes(","):
            self._skip(_BLANK)
        return self._takes(bracket)

    def _keys(self) -> list[str]:
        """Return the parts of a key; what follows it is next."""
        keys = [self._key()]
        while self._takes("."):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_BLANK)
        quoted = self._skip(_STRING)
        key = (self._skip(_BARE_KEY) or "") if quoted is None else _unquoted(quoted)
        self._skip(_BLANK)
        return key

    def _takes(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _note(self, path: _Path) -> None:
        """Remember the line of a path, and of every table that it is the first to name."""
        line = self._text.count("\n", 0, self._at) + 1
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)


def _unquoted(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"])
