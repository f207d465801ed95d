"""The notebook of the documents: its cells run, with short settings, and it keeps what they showed, as pictures."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.notebook import code_cells, outputs_of, run_cell

ROOT = Path(__file__).resolve().parents[1]
TOUR = ROOT / "docs" / "notebooks" / "tour.ipynb"
SHORT = {
    "SIZE, COUNT, KIMG = 64, 60, 2.0": "SIZE, COUNT, KIMG = 32, 8, 0.008",
    'preset="demo"': 'preset="smoke/low_shot"',
}


def test_a_cell_shows_its_last_expression_and_keeps_what_it_prints() -> None:
    names: dict[str, Any] = {}
    assert run_cell("a = 2\nprint(a)", names, "here") == ("2\n", None)
    assert run_cell("a + 1", names, "here") == ("", 3)

    class Picture:
        def _repr_png_(self) -> bytes:
            return b"png"

    (output,) = outputs_of("", Picture(), 4)
    assert base64.b64decode(output["data"]["image/png"]) == b"png"
    assert output["execution_count"] == 4
    assert outputs_of("two\nlines", None, 1)[0]["text"] == ["two\n", "lines"]


def test_the_notebook_keeps_its_outputs_as_pictures() -> None:
    cells = code_cells(json.loads(TOUR.read_text()))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    pictures = [output for cell in cells for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert len(pictures) >= 6
    assert TOUR.stat().st_size < 2_000_000
    assert str(ROOT) not in TOUR.read_text()


@pytest.mark.slow
def test_the_notebook_runs_with_short_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {"__name__": "__main__"}
    for count, cell in enumerate(code_cells(json.loads(TOUR.read_text())), start=1):
        source = "".join(cell["source"])
        for long, short in SHORT.items():
            source = source.replace(long, short)
        outputs_of(*run_cell(source, names, f"cell {count}"), count)
    assert names["SIZE"] == 32
    assert names["report"].page.is_file()
    assert os.path.isdir(names["RUNS"])
