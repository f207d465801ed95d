"""Finished models in the studio, called as plain functions: all a generator can do, and where each region came from."""

from pathlib import Path

import pytest
import torch

from sase_gan.drawing.sampling import draw_images, draw_inputs
from sase_gan.networks.finished import finished
from sase_gan.networks.generator import GeneratorConfig
from sase_gan.pixels import read_image, to_tensor
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.ui.close_up import CloseUpHandlers
from sase_gan.ui.entries import GENERATOR
from sase_gan.ui.models import Models
from sase_gan.ui.studio import _facts
from sase_gan.ui.tabs.generate import GenerateHandlers
from sase_gan.ui.tabs.layers import ALONE, LayerHandlers
from sase_gan.ui.tracing import SourceHandlers
from tests.awake import awake


@pytest.fixture(scope="module")
def models(few_pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Models:
    pictures = torch.stack([read_image(path)[:, 4:36, 4:36] for path in few_pictures])
    config = RecombinerConfig(count=len(pictures), size=(32, 32), names=tuple(path.name for path in few_pictures))
    patches = Recombiner(config)
    patches.pictures.copy_(pictures)
    generator = awake(GeneratorConfig(image_size=32, width=4, latent_size=16, num_components=3, spectral_norm=False))
    folder = tmp_path_factory.mktemp("finished")
    finished(generator, patches, 0.4).save_pretrained(folder / "crisp")
    return Models([folder])


def test_it_is_listed_with_generators(models: Models) -> None:
    assert models.names(GENERATOR) == ["crisp"]
    models.open_generator("crisp", "layers")


def test_its_layers_are_those_of_the_network_alone_which_is_said(models: Models) -> None:
    handlers = LayerHandlers(models)
    assert handlers.gates("crisp").note == ALONE
    network = models.open_generator("crisp", "layers").network
    expected = draw_images(network, draw_inputs(network, [5]), finish=False)[0]
    assert torch.equal(to_tensor(handlers.edit("crisp", "5").before), expected)


def test_a_close_look_tells_the_sources_of_its_regions(models: Models, few_pictures: list[Path]) -> None:
    sheet = GenerateHandlers(models).sample("crisp", 3, count=2).sheet
    panel, words, coloured, legend, _, trace = CloseUpHandlers(models).choose(sheet, 1).sources
    assert panel["visible"] is True
    assert "which the model contains" in words
    assert to_tensor(coloured).shape[0] == 3
    assert len(legend) >= 1
    source = int(trace.sources[5, 20, 0]) % len(few_pictures)
    assert f"In {few_pictures[source].name}" in SourceHandlers(models).point(trace, [20, 5])


def test_the_line_below_the_list_says_what_it_is(models: Models) -> None:
    told = _facts(models, "crisp")
    assert "finished with patches" in told
    assert "contains its training pictures" in told


def test_its_training_pictures_are_those_that_it_holds(models: Models, few_pictures: list[Path]) -> None:
    known = models.training_pictures(models.open("crisp"))
    assert list(known.names) == [path.name for path in few_pictures]
