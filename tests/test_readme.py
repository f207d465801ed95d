"""What the README tells a newcomer to type exists and works."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from sase_gan import cli
from sase_gan.config import list_presets
from sase_gan.networks import Generator, GeneratorConfig

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def _shell_lines() -> list[str]:
    return [line.split("#")[0].strip() for block in _blocks("bash") for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", [line for line in _shell_lines() if line.startswith("sase-gan")])
def test_commands_and_options_exist(line: str) -> None:
    words = shlex.split(line)[1:]
    command = get_command(cli.app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets


def test_presets_in_the_table_exist() -> None:
    rows = re.findall(r"^\| (`[a-z0-9_`, ]+`) \| ", README.split("| preset |")[1].split("\n\n")[0], re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}
    assert names
    assert names <= {name.split("/")[1] for name in list_presets("low_shot")}


def test_the_python_example_runs(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "NAME-001" / "snapshots" / "000008kimg"
    Generator(GeneratorConfig(image_size=32, width=4)).folded().save_pretrained(folder)
    (block,) = _blocks("python")
    names: dict[str, object] = {}
    exec(block.replace("runs/NAME-001/snapshots/000008kimg", str(folder)), names)
    pictures = names["pictures"]
    assert isinstance(pictures, torch.Tensor)
    assert pictures.shape == (16, 3, 32, 32)
    assert pictures.dtype == torch.uint8
