"""Controls made from files and names, and the command that takes them."""

import pytest
import torch
from typer.testing import CliRunner

from sase_gan.api.control import make_control
from sase_gan.api.sample import sample
from sase_gan.cli import app
from sase_gan.errors import UsageError
from sase_gan.pixels import read_image, to_float, write_png
from sase_gan.recombination.model import Recombiner, RecombinerConfig


@pytest.fixture
def model() -> Recombiner:
    source = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 6, 6, generator=source)
    pictures = (255 * torch.nn.functional.interpolate(coarse, size=64, mode="bicubic").clamp(0, 1)).to(torch.uint8)
    network = Recombiner(RecombinerConfig(count=4, size=(64, 64), names=tuple(f"p{index}.png" for index in range(4))))
    network.pictures.copy_(pictures)
    return network


def left() -> torch.Tensor:
    mask = torch.zeros(64, 64)
    mask[:, :32] = 1
    return mask


def test_regions_are_bound_by_name_stem_or_number(model) -> None:
    for name in ("p2.png", "p2", "2"):
        control = make_control(model, bound=[(left(), [name])])
        assert control.regions[0].forbidden.tolist() == [True, True, False, True]
        assert torch.equal(control.regions[0].mask, left())
    images = sample(model, "0-1", progress=False, sources=True, control={"bound": [(left(), ["p2"])]})
    assert (images.origins.sources[:, :, :32, 0] == 2).all()


def test_a_subset_serves_alone(model) -> None:
    images = sample(model, "0-2", progress=False, sources=True, control={"subset": ["p0", "p3"]})
    assert set(images.origins.sources[..., 0].unique().tolist()) <= {0, 3}


def test_a_photograph_is_cut_to_fit_and_stays_outside_of_the_mask(model) -> None:
    photograph = torch.randint(256, (3, 64, 100), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    control = make_control(model, picture=photograph, mask=left())
    assert torch.equal(control.picture, to_float(photograph[:, :, 18:82]))
    assert control.strength == 1
    images = sample(model, "0", progress=False, control={"picture": photograph, "mask": left()})
    assert torch.equal(images.pixels[0, :, :, 32:], photograph[:, :, 50:82])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"subset": ["nobody"]}, "such as p0.png"),
        ({"subset": ["9"]}, "its number, 0 to 3"),
        ({"strength": 0.5}, "no picture"),
        ({"picture": torch.zeros(3, 64, 64, dtype=torch.uint8), "strength": 2.0}, "between 0"),
        ({"subset": ["p0"], "barred": [(left(), ["p0"])]}, "no training picture is left"),
    ],
)
def test_wrong_controls_are_refused_in_a_sentence(model, wrong, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_control(model, **wrong)


def test_a_network_that_learned_takes_no_control() -> None:
    with pytest.raises(UsageError, match="only a model without training"):
        sample("data/snapshots/emoji-faces", "0", progress=False, control={"subset": ["p0"]})


def test_the_command_binds_a_region_and_writes_pictures_with_their_sources(model, tmp_path) -> None:
    model.save_pretrained(tmp_path / "snapshot")
    write_png(tmp_path / "left.png", (255 * left()).to(torch.uint8).expand(3, -1, -1).contiguous())
    out = tmp_path / "out"
    arguments = ["recombine", str(tmp_path / "snapshot"), "--seeds", "0-1", "--out", str(out), "--sources"]
    done = CliRunner().invoke(app, [*arguments, "--only", f"{tmp_path / 'left.png'}=p1"], catch_exceptions=False)
    assert done.exit_code == 0
    shown = to_float(read_image(out / "seed000000.png"))[:, :, :28]
    assert (shown - to_float(model.pictures[1])[:, :, :28]).abs().mean() < 0.05
    assert (out / "seed000001.sources.json").is_file()
    with pytest.raises(UsageError, match="write MASK=NAME"):
        CliRunner().invoke(app, [*arguments, "--only", "left.png"], catch_exceptions=False)
