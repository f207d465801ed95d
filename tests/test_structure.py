"""The code's shape: short files, short functions, errors that are named where they are raised."""

import ast
from pathlib import Path

import pytest

import sase_gan

ROOT = Path(sase_gan.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if "presets" not in path.relative_to(ROOT).parts[:-1])
MOST_LINES = 400
LONG_FUNCTION = 60
MOST_LONG_FUNCTIONS = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> list[tuple[str, Function, bool]]:
    """Name, node, and whether it is public: neither it nor what it stands in begins with an underscore."""
    found = []

    def visit(node: ast.AST, place: tuple[str, ...], inside_function: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = (*place, child.name)
                hidden = inside_function or any(part.startswith("_") and part != "__init__" for part in name)
                found.append((".".join(name), child, not hidden))
                visit(child, name, True)
            elif isinstance(child, ast.ClassDef):
                visit(child, (*place, child.name), inside_function)
            else:
                visit(child, place, inside_function)

    visit(ast.parse(path.read_text()), (), False)
    return found


def long_functions() -> list[tuple[str, int, str]]:
    """Place, lines without the docstring, and the docstring, of functions that are longer than most.

    The signature of a command is the command line, an option a line: it does not count.
    """
    found = []
    for path in FILES:
        for name, node, _ in functions(path):
            documentation = ast.get_docstring(node) or ""
            first = node.body[0]
            start = first.lineno if path.parent.name == "commands" else node.lineno
            lines = (node.end_lineno or 0) - start + 1
            if documentation:
                lines -= (first.end_lineno or 0) - first.lineno + 1
            if lines > LONG_FUNCTION:
                found.append((f"{path.relative_to(ROOT)}:{name}", lines, documentation))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_have_one_topic_and_are_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, f"{path.name} has {lines} lines; divide it by topic"


def test_long_functions_are_few_and_say_why() -> None:
    found = long_functions()
    assert len(found) <= MOST_LONG_FUNCTIONS, found
    for place, lines, documentation in found:
        assert "straight" in documentation, f"{place} has {lines} lines and does not say why it reads straight down"


def test_public_functions_that_raise_say_so() -> None:
    silent = []
    for path in FILES:
        if path.parent.name == "commands":
            continue  # the docstring of a command is its help; what it ends with is an exit code
        for name, node, public in functions(path):
            if not public:
                continue
            nested = {
                inner
                for child in ast.walk(node)
                if isinstance(child, Function) and child is not node
                for inner in ast.walk(child)
            }
            raised = [
                found
                for found in ast.walk(node)
                if isinstance(found, ast.Raise)
                and found not in nested
                and found.exc is not None
                and isinstance(found.exc, ast.Call)
            ]
            documentation = ast.get_docstring(node) or ""
            if raised and "Raises:" not in documentation and not name.endswith("__init__"):
                silent.append(f"{path.relative_to(ROOT)}:{name}")
    assert not silent, silent
