"""Real text that is on every machine: the documentation inside Python's standard library.

The sources are parsed, never imported, so that reading them runs none of their code.
"""

import ast
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MODULES = (
    *("argparse", "array", "asyncio", "base64", "bisect", "calendar", "cmd", "codecs"),
    *("collections", "concurrent", "configparser", "contextlib", "copy", "csv", "dataclasses"),
    *("datetime", "_pydatetime", "decimal", "_pydecimal", "difflib", "email", "enum", "fractions"),
    *("functools", "gettext", "glob", "gzip", "hashlib", "heapq", "html", "http", "importlib"),
    *("inspect", "ipaddress", "json", "linecache", "locale", "logging", "mailbox", "mimetypes"),
    *("multiprocessing", "numbers", "operator", "os", "pathlib", "pickle", "pprint", "queue"),
    *("random", "re", "sched", "secrets", "selectors", "shelve", "shlex", "shutil", "socket"),
    *("socketserver", "sqlite3", "ssl", "statistics", "string", "subprocess", "tarfile"),
    *("tempfile", "textwrap", "threading", "timeit", "tokenize", "traceback", "types", "typing"),
    *("unittest", "urllib", "uuid", "warnings", "wave", "weakref", "xml", "xmlrpc", "zipfile"),
)
_FEWEST_CHARACTERS = 80
_MOST_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class Document:
    """One documented thing, named by where it is (`bisect.insort_right`)."""

    id: str
    text: str


def library_documents(most: int, library: Path | None = None) -> list[Document]:
    """Return up to `most` documents with different ids and different texts.

    Args:
        most: How many.
        library: A folder with the modules' sources; default: the running Python's library.
    """
    found: dict[str, Document] = {}
    ids: set[str] = set()
    for document in _all_documents(library or Path(sysconfig.get_path("stdlib"))):
        if len(found) == most:
            break
        if document.id not in ids:
            found.setdefault(document.text, document)
            ids.add(document.id)
    return list(found.values())


def _all_documents(library: Path) -> Iterator[Document]:
    for module in _MODULES:
        package = library / module
        files = sorted(package.rglob("*.py")) if package.is_dir() else [library / f"{module}.py"]
        for file in files:
            if file.is_file():
                name = ".".join(file.relative_to(library).with_suffix("").parts)
                yield from _documented(file, name.removesuffix(".__init__"))


def _documented(file: Path, module: str) -> Iterator[Document]:
    tree = ast.parse(file.read_text("utf-8"))
    yield from _document(tree, module)
    pending: list[tuple[str, ast.AST]] = [(module, tree)]
    while pending:
        owner, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{owner}.{child.name}"
                pending.append((name, child))
                yield from _document(child, name)


def _document(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[Document]:
    text = (ast.get_docstring(node) or "")[:_MOST_CHARACTERS].strip()
    if len(text) >= _FEWEST_CHARACTERS:
        yield Document(name, text)
