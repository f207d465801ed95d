"""Finished generators: patches in the layouts of a network, by closed forms and by another way to the same pictures."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sase_gan.drawing.gates import GateEdit, draw_edited, view_layers
from sase_gan.drawing.inverting import InvertingSettings, invert
from sase_gan.drawing.sampling import draw_images, draw_inputs, sample_images
from sase_gan.drawing.training_mode import sample_in_training_mode
from sase_gan.drawing.walks import latent_walk
from sase_gan.errors import DataError, UsageError
from sase_gan.networks.finished import FinishedGenerator, FinishedGeneratorConfig, finished, with_details
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import holds_pictures, load_generator, load_network, recombiner_of
from sase_gan.pixels import to_float, to_uint8
from sase_gan.recombination.control import Control
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.seeds import generator as random_generator
from tests.awake import awake


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Seven smooth pictures, far from each other: uint8 `[7, 3, 64, 64]`."""
    coarse = torch.rand(7, 3, 5, 5, generator=torch.Generator().manual_seed(5))
    smooth = torch.nn.functional.interpolate(coarse, size=64, mode="bicubic").clamp(0, 1)
    return (255 * smooth).to(torch.uint8)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return awake(GeneratorConfig(image_size=64, width=4, latent_size=16, num_components=3, spectral_norm=False))


@pytest.fixture(scope="module")
def model(generator: Generator, pictures: Tensor) -> FinishedGenerator:
    patches = Recombiner(RecombinerConfig(count=7, size=(64, 64), mirror=True, variety=2.0))
    patches.pictures.copy_(pictures)
    return finished(generator, patches, 0.2)


def test_a_training_picture_is_finished_as_itself(model: FinishedGenerator, pictures: Tensor) -> None:
    drawn = model.finish(to_float(pictures), draw_inputs(model, range(7)).noise)
    far = (drawn.pictures - to_float(pictures)).abs() > 2 / 255
    assert far.double().mean() < 0.005  # where another of these smooth pictures is as near
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    own = torch.stack([torch.arange(7)[:, None, None].expand(7, 64, 64), rows.expand(7, 64, 64)], -1)
    assert (drawn.sources[..., :2] == own).double().mean() > 0.99
    assert (drawn.sources[..., 2] == columns).double().mean() > 0.99
    torch.testing.assert_close(drawn.shares.diagonal(), torch.ones(7, dtype=torch.float64), atol=0.03, rtol=0)


def test_a_grey_picture_is_finished_as_one_of_colours_that_has_none(model: FinishedGenerator) -> None:
    given = model.patches.pictures[:, :1]
    grey = Recombiner(RecombinerConfig(count=7, size=(64, 64), mirror=True, variety=2.0, colours="grey"))
    grey.pictures.copy_(given)
    three = Recombiner(grey.config.model_copy(update={"colours": "rgb"}))
    three.pictures.copy_(given.expand(-1, 3, -1, -1))
    network = awake(model.config.unfinished().model_copy(update={"colours": "grey"}))
    own, other = finished(network, grey, 0.2), finished(model.unfinished(), three, 0.2)
    drawn = network(draw_inputs(network, [0, 1]).z).big
    found, expected = own.finish(drawn), other.finish(drawn.expand(-1, 3, -1, -1))
    assert found.pictures.shape == (2, 1, 64, 64)
    torch.testing.assert_close(found.pictures.expand(-1, 3, -1, -1), expected.pictures, atol=1e-5, rtol=0)
    assert torch.equal(found.sources, expected.sources)
    with pytest.raises(ValueError, match=r"colours is 'rgb', patches.colours 'grey'; patches are of pictures like"):
        finished(model.unfinished(), grey, 0.2)


def test_finishing_is_a_recombination_that_begins_at_the_picture(model: FinishedGenerator) -> None:
    source = random_generator(3, "noise")
    noise = [torch.randn(shape, generator=source)[None] for shape in model.noise_shapes()]
    assert [tuple(part.shape) for part in noise[-2:]] == [(1, 3, 32, 32), (1, 3, 64, 64)]
    given = model(draw_inputs(model, [3]).z, noise).big
    control = Control(picture=with_details(to_float(to_uint8(given)), model.detail)[0], strength=0.2)
    again = model.patches(noise[-2], [noise[-1]], control=control).pictures
    torch.testing.assert_close(model.finish(given, noise).pictures, again)
    assert torch.equal(sample_images(model, [3]), to_uint8(again))


def test_details_are_enlarged_and_the_layout_stays() -> None:
    """A wave of two pixels is detail, up to what a map of 16 px sees of it; a ramp is layout, away from its ends."""
    rows = torch.arange(64.0)[:, None].expand(64, 64)
    wave, ramp = torch.cos(torch.pi * rows), rows / 64 - 0.5
    given = torch.stack([wave, ramp, torch.full((64, 64), -0.3)])[None]
    torch.testing.assert_close(with_details(given, 3.0)[0, 0, 8:-8], 3 * wave[8:-8], atol=0.01, rtol=0)
    torch.testing.assert_close(with_details(given, 3.0)[0, 1:, 8:-8], given[0, 1:, 8:-8])
    assert with_details(given, 1.0) is given


def test_models_of_before_take_details_as_drawn(model: FinishedGenerator) -> None:
    assert (FinishedGeneratorConfig().detail, model.detail) == (1.0, 3.0)


def test_without_noise_none_is_added(model: FinishedGenerator) -> None:
    given = model(*draw_inputs(model, [3])[:2]).big
    none = [torch.zeros(1, *shape) for shape in model.noise_shapes()]
    assert torch.equal(model.finish(given).pictures, model.finish(given, none).pictures)


def test_every_pixel_shows_its_source(model: FinishedGenerator, pictures: Tensor) -> None:
    drawn = model.finish(model(*draw_inputs(model, range(3))[:2]).big)
    index, row, column = (part.long() for part in drawn.sources.unbind(-1))
    shown = to_float(pictures)[index % 7, :, row, column].movedim(-1, 1)
    assert (shown - drawn.pictures).abs().mean() < 2 / 255


def test_a_picture_is_the_same_in_every_batch_and_by_its_seed(model: FinishedGenerator) -> None:
    several = sample_images(model, range(6), batch_size=6)
    assert torch.equal(several[4:5], sample_images(model, [4]))
    assert torch.equal(several, sample_images(model, range(6), batch_size=4))


def test_more_strength_leaves_less_of_what_was_drawn(model: FinishedGenerator) -> None:
    drawn, changed = model(*draw_inputs(model, range(4))[:2]).big, []
    try:
        for model.strength in (0.0, 0.5, 0.95):
            changed.append((model.finish(drawn).pictures - drawn).square().mean().item())
    finally:
        model.strength = 0.2
    assert changed == sorted(changed)


def test_a_snapshot_keeps_generator_pictures_and_settings(
    model: FinishedGenerator, generator: Generator, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path / "finished")
    read = load_generator(tmp_path / "finished")
    assert isinstance(read, FinishedGenerator)
    assert (read.strength, read.patches.config.variety) == (0.2, 2.0)
    assert torch.equal(read.patches.pictures, model.patches.pictures)
    assert torch.equal(sample_images(read, range(3)), sample_images(model, range(3)))
    assert "contains the training pictures" in (tmp_path / "finished" / "README.md").read_text()
    alone = read.unfinished()
    assert type(alone) is Generator
    assert alone.config == generator.config
    assert torch.equal(sample_images(alone, range(3)), sample_images(generator, range(3)))
    alone.save_pretrained(tmp_path / "alone")
    assert type(load_network(tmp_path / "alone")) is Generator
    with pytest.raises(DataError, match="kind 'finished_generator'; this class reads 'low_shot_generator'"):
        Generator.from_pretrained(str(tmp_path / "finished"))


def test_unfinished_pictures_are_the_networks(model: FinishedGenerator, generator: Generator) -> None:
    inputs, own = draw_inputs(model, range(3)), draw_inputs(generator, range(3))
    assert torch.equal(draw_images(model, inputs, finish=False), draw_images(generator, own))
    assert not torch.equal(draw_images(model, inputs), draw_images(generator, own))


def test_what_layers_do_is_seen_in_the_networks_pictures(model: FinishedGenerator, generator: Generator) -> None:
    inputs, own = draw_inputs(model, range(2)), draw_inputs(generator, range(2))
    name = next(iter(model.sase_gates()))
    edits = {name: GateEdit(strengths=(3.0, 0.0, 1.0, 1.0))}
    assert torch.equal(draw_edited(model, inputs, edits), draw_edited(generator, own, edits))
    assert torch.equal(view_layers(model, inputs).image, draw_images(generator, own)[0])


def test_walks_are_finished_from_end_to_end(model: FinishedGenerator) -> None:
    walk = latent_walk(model, [0, 1], steps=2)
    stations = draw_inputs(model, [0, 1], noise="off")._replace(noise=[n.expand(2, -1, -1, -1) for n in _first(model)])
    assert torch.equal(walk[[0, 2]], draw_images(model, stations))


def _first(model: FinishedGenerator) -> list[Tensor]:
    noise = draw_inputs(model, [0]).noise
    assert noise is not None
    return noise


def test_sources_are_told_and_controls_refused(model: FinishedGenerator, generator: Generator) -> None:
    inputs = draw_inputs(model, range(2))
    sources: list[Tensor] = []
    shares: list[Tensor] = []
    draw_images(model, inputs, sources=sources, shares=shares)
    assert sources[0].shape == (2, 64, 64, 3)
    torch.testing.assert_close(shares[0].sum(1), torch.ones(2, dtype=torch.float64))
    with pytest.raises(UsageError, match="which only a model without training has"):
        draw_images(model, inputs, control=Control())
    with pytest.raises(UsageError, match="sources"):
        draw_images(model, inputs, finish=False, sources=[])
    with pytest.raises(UsageError, match="sources"):
        draw_images(generator, inputs, sources=[])


def test_a_photograph_is_brought_into_the_network_and_finished(model: FinishedGenerator, pictures: Tensor) -> None:
    few = InvertingSettings(latent_steps=1, map_steps=1, noise_steps=2, examples=16)
    found = invert(model, pictures[:2], settings=few)
    began = draw_inputs(model, [0]).noise
    ours = len(model.noise_sizes())
    for place, (before, after) in enumerate(zip(began, found.inversions[0].noise, strict=True)):
        assert torch.equal(before[0], after) == (place >= ours)
    assert found.pixels.shape == (2, 3, 64, 64)


def test_fastgans_protocol_takes_the_network_alone(model: FinishedGenerator) -> None:
    with pytest.raises(UsageError, match="measure the snapshot that it was made of"):
        sample_in_training_mode(model, range(16))


def test_what_holds_pictures_is_known(model: FinishedGenerator, generator: Generator) -> None:
    assert [holds_pictures(network) for network in (model, model.patches, generator)] == [True, True, False]
    assert recombiner_of(model) is model.patches
    assert recombiner_of(model.patches) is model.patches
    assert recombiner_of(generator) is None
