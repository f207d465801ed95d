"""Shared options: sizes, and former names that are understood but not shown."""

import re

import pytest
import typer
from typer.testing import CliRunner

from sase_gan.commands.options import DeviceOption, former_names, parse_size
from sase_gan.errors import UsageError

app = typer.Typer()


@app.command(cls=former_names({"--accelerator": "--device"}))
def command(names: list[str], device: DeviceOption = "auto") -> None:
    """Do something."""
    typer.echo(f"{device} {names}")


@pytest.mark.parametrize(
    "arguments",
    [["--device", "cpu", "a"], ["--accelerator", "cpu", "a"], ["--accelerator=cpu", "a"], ["a", "--accelerator=cpu"]],
)
def test_a_former_name_is_understood(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).output == "cpu ['a']\n"


def test_words_behind_two_hyphens_are_no_options() -> None:
    assert CliRunner().invoke(app, ["a", "--", "--accelerator"]).output == "auto ['a', '--accelerator']\n"


def test_help_shows_the_present_name_only() -> None:
    text = re.sub(r"\x1b\[[\d;]*m", "", CliRunner().invoke(app, ["--help"]).output)
    assert "--device" in text
    assert "--accelerator" not in text


def test_sizes_are_width_by_height() -> None:
    assert parse_size(None) is None
    assert parse_size("800x200") == (200, 800)


@pytest.mark.parametrize("text", ["800", "x", "800x", "0x10", "-1x10", "800x200x3"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write WIDTHxHEIGHT in pixels"):
        parse_size(text)
