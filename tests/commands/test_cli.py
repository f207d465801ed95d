"""The command line as a whole: quick help, exit codes, every command documented."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.errors import DataError, SaseGanError, UsageError, WeightsError

FACES = Path(__file__).parents[2] / "data" / "emoji-faces"
HEAVY = ("torch", "torchvision", "lightning", "gradio", "timm", "lpips", "torch_fidelity", "matplotlib", "PIL", "numpy")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from sase_gan.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    assert "train" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["train", "nowhere"], "torch"),
        (["train", "--resume", "nowhere"], "torch"),
        (["train", str(FACES), "--set", "loss.r2=1"], "lightning"),
    ],
)
def test_a_mistake_is_told_before_slow_imports(arguments: list[str], heavy: str) -> None:
    program = (
        "import sys; from sase_gan.cli import app; from sase_gan.errors import SaseGanError\n"
        f"try: app({arguments!r})\n"
        "except SaseGanError as error: print('SAID', error)\n"
        f"print({heavy!r}, {heavy!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "SAID" in done.stdout
    assert f"{heavy} False" in done.stdout


def every_command() -> list[list[str]]:
    found = []
    for name, command in get_command(cli.app).commands.items():
        inner = getattr(command, "commands", None)
        found += [[name, sub] for sub in inner] if inner else [[name]]
    return found


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    result = CliRunner().invoke(cli.app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
    command = get_command(cli.app)
    for word in words:
        command = command.commands[word]
    assert command.help, f"{words} has no docstring"
    undocumented = [p.name for p in command.params if not (getattr(p, "help", None) or getattr(p, "hidden", False))]
    assert not undocumented, f"{words}: no help for {undocumented}"


@pytest.mark.parametrize(
    ("error", "code"), [(SaseGanError, 1), (UsageError, 2), (WeightsError, 3), (DataError, 4), (KeyboardInterrupt, 130)]
)
def test_an_error_ends_with_its_exit_code_and_one_sentence(
    error: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error("the value is 3; it must be 4")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code
    message = capsys.readouterr().err
    assert message.startswith("sase-gan: ")
    if code != 130:
        assert message == "sase-gan: the value is 3; it must be 4\n"
