"""The figures of what pictures were put together of, and the evaluation of a model without training."""

import json
from pathlib import Path

import pytest
import torch

from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.sources import bundled_data
from sase_gan.evaluation.options import EvaluationOptions
from sase_gan.evaluation.recombination import origins_of, recombination_facts, with_maps
from sase_gan.evaluation.run import run_evaluation
from sase_gan.pixels import read_image, write_png
from sase_gan.recombination.model import Recombiner, RecombinerConfig


def two_halves() -> torch.Tensor:
    """Two maps of 16 x 16 pixels: all of picture 0, and half of 0 beside half of 1."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    sources = torch.stack([torch.zeros(16, 16, dtype=torch.long), rows, columns], -1).repeat(2, 1, 1, 1)
    sources[1, :, 8:, 0] = 1
    return sources.int()


def test_use_and_regions_are_those_of_the_maps() -> None:
    pictures = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    facts = recombination_facts(origins_of(two_halves(), pictures), torch.tensor([0.75, 0.25, 0.0]))
    assert facts.largest_region == 0.75
    assert facts.regions == 1.5
    assert facts.most_used == pytest.approx(2.25)
    shares = torch.tensor([0.75, 0.25])
    entropy = -(shares * shares.log()).sum() / torch.log(torch.tensor(3.0))
    assert facts.entropy_of_use == pytest.approx(entropy.item(), abs=1e-4)


def test_of_one_picture_use_is_not_told() -> None:
    pictures = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    facts = recombination_facts(origins_of(two_halves()[:1], pictures), torch.ones(1))
    assert (facts.entropy_of_use, facts.most_used, facts.largest_region) == (None, None, 1.0)


def test_maps_stand_beside_their_pictures() -> None:
    pictures = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shown = with_maps(images, two_halves(), pictures, origins_of(two_halves(), pictures))
    assert shown.shape == (2, 3, 16, 32)
    assert torch.equal(shown[..., :16], images)


def test_an_evaluation_of_a_model_without_training_tells_its_sources(tmp_path: Path) -> None:
    faces = load_image_set(bundled_data("emoji-faces"), image_size=32, max_images=12)
    for index, face in enumerate(faces.images):
        write_png(tmp_path / "real" / f"{index}.png", face)
    network = Recombiner(RecombinerConfig(count=12, size=(32, 32)))
    network.pictures.copy_(faces.images)
    network.save_pretrained(tmp_path / "snapshot")
    options = EvaluationOptions(
        tmp_path / "snapshot", tmp_path / "real", count=6, metrics=("copying",), out=tmp_path / "out"
    )
    run_evaluation(options)
    part = json.loads((tmp_path / "out" / "metrics.json").read_text())["model"]["recombination"]
    assert 0 < part["entropy_of_use"] <= 1
    assert 1 <= part["most_used"] <= 12
    assert 0 < part["largest_region"] <= 1
    assert read_image(tmp_path / "out" / part["maps"]).shape == (3, 2 * 34 + 2, 4 * 66 + 2)
