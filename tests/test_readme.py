"""What the README and the documents tell a reader to type exists and works, and what they point to is there."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command

from sase_gan import __version__, cli
from sase_gan.config import list_presets

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")
PAGES = [*(ROOT / name for name in OTHERS), *sorted((ROOT / "docs").rglob("*.md"))]


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _shell_lines() -> list[str]:
    blocks = [block.replace("\\\n", " ") for page in PAGES for block in _blocks("bash", page.read_text())]
    return sorted({line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()})


@pytest.mark.parametrize("line", [line for line in _shell_lines() if line.startswith("sase-gan")])
def test_commands_and_options_exist(line: str) -> None:
    words = shlex.split(line)[1:]
    command = get_command(cli.app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


def _anchors(page: Path) -> set[str]:
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    # A name of the reference is an anchor in the site.
    names = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    return names | {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_pages_point_to_is_there(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```|`[^`\n]+`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), target


def test_pictures_of_the_front_page_are_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert sum((ROOT / picture).stat().st_size for picture in pictures) < 1_500_000


def test_the_badges_are_true() -> None:
    said = re.findall(r"<text[^>]*>([^<]*)</text>", (ROOT / "docs" / "images" / "badges.svg").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = dict(zip(said[::2], (text.replace("&gt;", ">") for text in said[1::2]), strict=True))
    assert told.pop("GPU") == "not needed"
    assert told == {"version": __version__, "Python": project["requires-python"], "licence": project["license"]}


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert typed
    assert typed <= targets


def test_presets_in_the_table_exist() -> None:
    table = (ROOT / "docs" / "commands.md").read_text().split("| preset |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`[a-z0-9_`, ]+`) \| ", table, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}
    assert names
    assert names <= {name.split("/")[1] for task in ("low_shot", "instant") for name in list_presets(task)}


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = _blocks("python")
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path / "cache"))
    names: dict[str, Any] = {}
    # Short settings: the example's own preset for a few images, and figures that need no feature network.
    block = block.replace('out="runs/tiny")', 'out="runs/tiny", kimg=0.008, figures=False)')
    exec(block.replace("count=64", 'count=16, metrics=["patches"], baseline=False'), names)
    assert names["images"].pixels.shape == (16, 3, 32, 32)
    assert names["images"].pixels.dtype == torch.uint8
    assert len(list((tmp_path / "samples").iterdir())) == 17
    assert names["report"].page.is_file()
    assert names["report"].record.value("patch_swd") > 0
