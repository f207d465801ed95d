"""Run a notebook from top to bottom and keep what its cells show: `python -m tests.notebook docs/notebooks/tour.ipynb`.

Nothing but the standard library: a cell is Python, its last expression is shown as notebooks show it, `_repr_png_`
before `_repr_html_` before `repr`, and what it prints is kept too.
"""

import ast
import base64
import contextlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def code_cells(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any], where: str) -> tuple[str, Any]:
    """Carry out a cell; what it printed, and the value of its last expression or None."""
    tree, shown = ast.parse(source, where), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, where, "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), where, "eval"), names)
    return printed.getvalue(), shown


def outputs_of(printed: str, shown: Any, count: int) -> list[dict[str, Any]]:
    """The outputs in the notebook's own form."""
    found: list[dict[str, Any]] = []
    if printed:
        found.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)})
    if shown is not None:
        data: dict[str, Any] = {"text/plain": repr(shown).splitlines(keepends=True)}
        picture = shown._repr_png_() if hasattr(shown, "_repr_png_") else None
        if picture is not None:
            data["image/png"] = base64.b64encode(picture).decode()
        found.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data})
    return found


def run(path: Path) -> None:
    """Run all cells in the folder of the checkout, and write their outputs into the notebook."""
    notebook = json.loads(path.read_text())
    names: dict[str, Any] = {"__name__": "__main__"}
    for count, cell in enumerate(code_cells(notebook), start=1):
        printed, shown = run_cell("".join(cell["source"]), names, f"{path.name}, cell {count}")
        cell["outputs"], cell["execution_count"] = outputs_of(printed, shown, count), count
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
