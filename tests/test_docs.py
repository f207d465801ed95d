"""The site of the documents: every page is in its navigation, and it builds without a warning."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def _pages(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in _pages(part)]


def test_the_navigation_has_every_page_once() -> None:
    listed = _pages(SITE["nav"])
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_every_page_of_results_says_how_to_get_them() -> None:
    text = (DOCS / "reproducing.md").read_text()
    named = set(re.findall(r"\((results/\w+\.md)\)", text))
    assert named == {path.relative_to(DOCS).as_posix() for path in DOCS.glob("results/*.md")}


def test_the_reference_has_what_the_package_offers() -> None:
    import sase_gan

    text = (DOCS / "api.md").read_text()
    described = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)}
    assert {*sase_gan.__all__, *sase_gan.layers.__all__} - {"__version__", "layers"} <= described


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed; make docs installs it")
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(_pages(SITE["nav"]))  # and the one for addresses that do not exist
    for page in pages:
        html = page.read_text()
        assert not re.search(r'src="(?:https?:)?//', html), page
        assert not re.search(r'<link[^>]+href="(?:https?:)?//', html), page
