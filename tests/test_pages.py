"""The Python of the documents runs as it stands, and what the page on extending adds to the program works there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
EXTENDING = (ROOT / "docs" / "extending.md").read_text()


def _snippets(page: Path) -> list[str]:
    """Python that is in no file of the program."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("default")  # as for whoever pastes it
@pytest.mark.parametrize("page", [page for page in PAGES if _snippets(page)], ids=lambda page: page.stem)
def test_snippets_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for snippet in _snippets(page):
        exec(snippet, names)


def _run(place: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(place), "SASE_GAN_CACHE": str(place / "cache")}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with the files and the changes of the page on extending."""
    place = tmp_path_factory.mktemp("extended")
    for name in ("sase_gan", "configs", "tests"):
        shutil.copytree(ROOT / name, place / name)  # with what is compiled, which takes seconds
    (place / "data").symlink_to(ROOT / "data")
    shutil.copy(ROOT / "pyproject.toml", place)
    files = re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', EXTENDING, re.DOTALL | re.MULTILINE)
    assert {Path(name).suffix for name, _ in files} == {".py", ".yaml"}
    for name, text in files:
        (place / name).write_text(text)
    for number, change in enumerate(re.findall(r"^```diff\n(.*?)^```", EXTENDING, re.DOTALL | re.MULTILINE)):
        (place / f"{number}.diff").write_text(change)
        _run(place, "git", "apply", f"{number}.diff")
    return place


@pytest.mark.slow
def test_a_layer_a_metric_and_a_preset_of_the_page_work_together(extended: Path) -> None:
    ratio = float(_run(extended, sys.executable, "together.py").splitlines()[-1])
    assert 0 < ratio < 10
    snapshot = next((extended / "runs" / "gated" / "snapshots").glob("*/config.json"))
    assert '"attention": "position"' in snapshot.read_text()


@pytest.mark.slow
def test_the_layer_of_the_page_is_held_to_the_contracts(extended: Path) -> None:
    command = (sys.executable, "-m", "pytest", "-n", "0", "-rA", "tests/test_contracts.py", "-k", "position_gate")
    assert len(re.findall(r"^PASSED .*position_gate", _run(extended, *command), re.MULTILINE)) > 10
