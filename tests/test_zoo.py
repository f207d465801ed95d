"""What a zoo of bad and odd inputs gets: nothing crashes, nothing is silently dropped or spoilt."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sase_gan.errors import DataError
from sase_gan.masks import read_mask
from sase_gan.pixels import read_image
from tests.zoo import INMATES, Inmate, answer, housed

ALL = [inmate for inmates in INMATES.values() for inmate in inmates]
every_inmate = pytest.mark.parametrize("inmate", ALL, ids=lambda inmate: inmate.name.replace(" ", "-"))


def test_the_zoo_is_large_and_its_table_is_kept(repository: Path) -> None:
    assert len(ALL) >= 80
    rows = [line for line in (repository / "docs/results/zoo.md").read_text().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows[2:]] == [inmate.name for inmate in ALL]
    assert [int(row.split(" | ")[1]) for row in rows[2:]] == [inmate.code for inmate in ALL]


@every_inmate
def test_an_inmate_is_answered(inmate: Inmate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, said = answer(housed(inmate, tmp_path / "set"))
    assert code == inmate.code, said
    assert re.search(inmate.says, said), said
    # Nothing that commands a terminal, and no half of a character.
    assert all(sign.isprintable() for sign in said)
    # Read as a mask or a picture by itself, it is read or refused with a sentence.
    for path in (tmp_path / "set").glob("*"):
        for read in (read_image, read_mask):
            try:
                read(path)
            except DataError:
                continue


@pytest.mark.slow
@every_inmate
def test_an_inmate_is_answered_by_the_program_in_time(inmate: Inmate, tmp_path: Path) -> None:
    path = housed(inmate, tmp_path / "set")
    for command in (["data", "check"], ["train", "--dry-run", "--preset", "instant"]):
        result = subprocess.run(
            [sys.executable, "-m", "sase_gan", *command, "--", str(path)], capture_output=True, timeout=120
        )
        assert b"Traceback" not in result.stderr, result.stderr[-2000:]
        assert result.returncode in (0, 2, 4)
        assert result.returncode == inmate.code or command[0] == "train"
        assert b"\x1b[31mred" not in result.stdout + result.stderr
