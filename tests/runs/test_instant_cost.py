from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sase_gan import cli
from sase_gan.errors import UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.pixels import write_png
from sase_gan.runs.instant_cost import InstantRequest, enough, measure_instant


def test_pictures_come_first_and_crops_of_them_follow() -> None:
    flat = torch.stack([torch.full((3, 32, 32), value, dtype=torch.uint8) for value in (10, 200)])
    found = enough(flat, 5)
    assert torch.equal(found[:2], flat)
    assert [int(one.float().mean().round()) for one in found] == [10, 200, 10, 200, 10]
    assert torch.equal(enough(flat, 1), flat[:1])


def test_costs_are_of_the_form_that_was_asked_for(tmp_path: Path) -> None:
    for index in range(2):
        write_png(tmp_path / f"{index}.png", torch.randint(256, (3, 40, 40), dtype=torch.uint8))
    hardware = choose_hardware("cpu", "32-true", 1)
    for count, form in ((1, "free"), (4, "aligned")):
        cost = measure_instant(InstantRequest(tmp_path, count, 32), hardware, drawn=1)
        assert cost.form == form
        assert cost.seconds_to_make > 0 < cost.seconds_a_picture
        assert cost.peak_memory_mb > 50


@pytest.mark.parametrize("text", ["", "64,", "0", "64,big", "-3"])
def test_sides_that_are_no_numbers_are_refused(tmp_path: Path, text: str) -> None:
    found = CliRunner().invoke(cli.app, ["bench", "instant", str(tmp_path), "--sides", text])
    assert isinstance(found.exception, UsageError)
    assert "--sides" in str(found.exception)
