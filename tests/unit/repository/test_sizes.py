import ast
from pathlib import Path

from tests.support.repository import CODE, python_files, shown

FILE_LINES = 300
FUNCTION_LINES = 40


def _long_functions(file: Path) -> list[str]:
    return [
        f"{shown(file)}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES
    ]


def test_a_file_holds_one_idea() -> None:
    too_long = [
        shown(file)
        for file in python_files()
        if len(file.read_text("utf-8").splitlines()) > FILE_LINES
    ]
    assert too_long == []


def test_a_function_fits_on_a_screen() -> None:
    # A migration lists a table's columns in one call.
    folders = [folder for folder in CODE if folder != "migrations"]
    assert [name for file in python_files(*folders) for name in _long_functions(file)] == []
