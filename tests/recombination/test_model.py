"""The model without training as a module: its snapshot, its variety, sets of one and two pictures."""

from pathlib import Path

import pytest
import torch

from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.errors import UsageError
from sase_gan.pixels import to_float
from sase_gan.recombination.model import Recombiner, RecombinerConfig


def made(count: int, *, side: int = 64, **options: object) -> Recombiner:
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    pictures = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic", align_corners=True).clamp(0, 1)
    network = Recombiner(RecombinerConfig(count=count, size=(side, side), **options))
    network.pictures.copy_((255 * pictures).to(torch.uint8))
    return network


def test_a_snapshot_draws_the_same_pictures_and_holds_the_training_pictures(tmp_path: Path) -> None:
    network = made(5, mirror=True, names=("a.png", "b.png", "c.png", "d.png", "e.png"))
    network.log_prior.copy_(torch.linspace(-0.5, 0.5, 5))
    network.save_pretrained(tmp_path / "snapshot")
    again = Recombiner.from_pretrained(str(tmp_path / "snapshot"))
    assert torch.equal(again.pictures, network.pictures)
    assert again.config == network.config
    assert torch.equal(sample_images(again, [3, 4]), sample_images(network, [3, 4]))


def test_drawing_is_the_same_each_time_and_in_every_batch() -> None:
    network = made(6)
    together = sample_images(network, range(7))
    assert torch.equal(together, sample_images(network, range(7)))
    assert torch.equal(together[5:], sample_images(network, [5, 6], batch_size=1))


def test_two_pictures_share_every_picture_between_them() -> None:
    network = made(2)
    drawn = network(*draw_inputs(network, range(8))[:2])
    assert set(drawn.sources[..., 0].unique().tolist()) == {0, 1}
    both = to_float(network.pictures)
    off = (drawn.pictures[:, None] - both).abs().amax(2).amin(1)  # from the nearer of the two
    assert off.mean() < 0.02


def test_more_variety_makes_smaller_regions() -> None:
    network = made(12, side=64)
    borders = []
    for variety in (0.7, 1.0, 2.0):
        network.variety = variety
        source = network(*draw_inputs(network, range(12))[:2]).sources[..., 0]
        borders.append((source[:, 1:] != source[:, :-1]).float().mean().item())
    assert borders == sorted(borders)
    assert borders[2] > 1.2 * borders[0]


def test_a_model_without_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="needs pictures"):
        Recombiner(RecombinerConfig())
