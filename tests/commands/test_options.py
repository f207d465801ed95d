"""Shared options: sizes, and former names that are understood but not shown."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.main import get_command
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.commands.options import DeviceOption, former_names, parse_size
from sase_gan.config import parse_share
from sase_gan.errors import UsageError
from sase_gan.pixels import write_png
from tests.commands.test_cli import every_command

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


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.1", 0.1), ("0", 0), ("100%", 1), ("12.5%", 0.125)])
def test_shares_are_percent_or_fractions(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "%", "ten", "10%%", "10% of all", "-0.1", "2", "nan"])
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"write it as 10% or 0\.1"):
        parse_share(text)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes of four plain pictures each."""
    for name, grey in (("dark", 20), ("light", 230)):
        for index in range(4):
            write_png(tmp_path / "classes" / name / f"{index}.png", torch.full((3, 32, 32), grey + index).byte())
    return tmp_path / "classes"


def test_a_classifier_goes_on_with_a_run_folder_as_a_generator_does(classes: Path, tmp_path: Path) -> None:
    def invoke(*words: str) -> Any:
        settings = ["--set", "pictures.image_size=8", "--epochs", words[-1], "--threads", "1", "--device", "cpu"]
        return CliRunner().invoke(cli.app, ["classify", "train", str(classes), *words[:-1], *settings])

    run = str(tmp_path / "run")
    small = ["--preset", "smoke", "--batch-size", "4", "--holdout", "25%"]
    assert invoke("--out", run, *small, "1").exit_code == 0
    assert "held_out: 0.25" in (tmp_path / "run" / "config.yaml").read_text()
    for going_on, epochs in ((["--resume", run], "2"), (["--out", run, "--resume"], "3")):
        result = invoke(*going_on, epochs)
        assert result.exit_code == 0, (result.output, result.exception)
        config = (tmp_path / "run" / "config.yaml").read_text()
        assert "held_out: 0.25" in config  # the run's own settings, which were not given again
        assert f"epochs: {epochs}" in config


def test_a_bare_resume_without_a_folder_is_refused_on_every_command() -> None:
    for words in (["classify", "train", "data"], ["detect", "train", "data"], ["weights", "list"], ["bench", "layers"]):
        assert CliRunner().invoke(cli.app, [*words, "--resume"]).exit_code == 2, words


@pytest.mark.parametrize("words", [["classify", "train"], ["detect", "train"]])
def test_recognisers_say_which_folder_they_need(words: list[str], tmp_path: Path) -> None:
    for given, sentence in (
        ([], "no run folder was given"),
        (["--out", "a", "--resume", "b"], "give --out for a new run"),
        (["--resume", str(tmp_path)], "holds no run"),
    ):
        assert sentence in str(CliRunner().invoke(cli.app, [*words, "data", *given]).exception)


def options(*words: str) -> dict[str, Any]:
    """All options of a command by their spelling."""
    command = get_command(cli.app)
    for word in words:
        command = command.commands[word]
    return {name: option for option in command.params for name in option.opts}


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_a_shared_option_reads_the_same_on_every_command(words: list[str]) -> None:
    train = options("train")
    for name, option in options(*words).items():
        if name in ("--device", "--threads", "--precision", "--config", "--set", "--weights-dir") and not option.hidden:
            assert option.help == train[name].help, f"{words} {name}"


@pytest.mark.parametrize(
    ("words", "former"),
    [
        (["bench", "layers"], ["--channels", "8", "--size", "4", "--batch-size", "2", "--repeats", "1"]),
        (["weights", "verify"], ["--dir", "nowhere", "efflite0"]),
        (
            ["classify", "study"],
            [
                "{data}",
                "--out",
                "{out}/study",
                "--preset",
                "smoke",
                "--variants",
                "bn",
                "--seeds",
                "1",
                "--set",
                "batch_size=2",
            ],
        ),
    ],
)
def test_former_spellings_still_work(words: list[str], former: list[str], classes: Path, tmp_path: Path) -> None:
    former = [word.format(data=classes, out=tmp_path) for word in former]
    result = CliRunner().invoke(cli.app, [*words, *former])
    assert result.exit_code == 0, result.output


def test_usage_names_no_former_argument(tmp_path: Path) -> None:
    usage = CliRunner().invoke(cli.app, ["data", "preview", "--help"], terminal_width=200).output
    assert "data preview [OPTIONS] {path}" in usage.replace("PATH", "{path}")
    assert "former" not in usage


def test_a_held_out_share_may_be_percent(tmp_path: Path) -> None:
    faces = Path(__file__).parents[2] / "data" / "emoji-faces"
    result = CliRunner().invoke(
        cli.app, ["train", str(faces), "--preset", "smoke/low_shot", "--holdout", "10%", "--dry-run", "--threads", "1"]
    )
    assert "holdout: 0.1" in result.output, result.output
