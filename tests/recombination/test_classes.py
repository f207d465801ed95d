"""A class of a model without training is what a model of its pictures alone would draw."""

import pytest
import torch

from sase_gan.drawing.sampling import draw_inputs, own_classes, sample_images
from sase_gan.errors import UsageError
from sase_gan.recombination.control import Control, without
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from tests.recombination.test_model import made

LABELS = (0, 1, 0, 0, 1, 0)


def two_classes(**options: object) -> Recombiner:
    return made(6, classes=("a", "b"), labels=LABELS, **options)


@pytest.mark.parametrize("form", ["aligned", pytest.param("free", marks=pytest.mark.slow)])
def test_a_class_is_drawn_as_by_a_model_of_its_pictures_alone(form: str) -> None:
    network = two_classes(form=form, mirror=True)
    network.class_prior.copy_(torch.linspace(-0.5, 0.5, 6))
    places = torch.tensor([1, 4])
    alone = Recombiner(RecombinerConfig(count=2, size=(64, 64), form=form, mirror=True, shift=1))
    alone.pictures.copy_(network.pictures[places])
    alone.log_prior.copy_(network.class_prior[places])
    inputs = draw_inputs(network, range(2))
    drawn = network(inputs.z, inputs.noise, classes=torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    expected = alone(inputs.z, inputs.noise)
    assert torch.equal(drawn.pictures, expected.pictures)
    index = expected.sources[..., 0].long()
    assert torch.equal(drawn.sources[..., 0].long(), places[index % 2] + torch.where(index >= 2, 6, 0))
    assert torch.equal(drawn.sources[..., 1:], expected.sources[..., 1:])
    assert torch.equal(drawn.shares[:, places], expected.shares)
    assert drawn.shares.sum(1).tolist() == pytest.approx([1, 1])


def test_pictures_of_classes_and_of_all_are_drawn_in_one_batch() -> None:
    network = two_classes()
    inputs = draw_inputs(network, [5, 6, 7])
    together = network(inputs.z, inputs.noise, classes=torch.tensor([[1.0, 0], [0, 0], [0, 1]]))
    assert torch.equal(together.pictures[1:2], network(*draw_inputs(network, [6])[:2]).pictures)
    assert {LABELS[i % 6] for i in together.sources[0, ..., 0].unique().tolist()} == {0}
    assert {LABELS[i % 6] for i in together.sources[2, ..., 0].unique().tolist()} == {1}
    with pytest.raises(UsageError, match="nothing between two"):
        network(inputs.z, inputs.noise, classes=torch.full((3, 2), 0.5))


def test_what_must_not_serve_does_not_within_a_class() -> None:
    network, forbidden = two_classes(), torch.tensor([True, False, False, False, False, True])
    inputs = draw_inputs(network, [5])
    control = Control(regions=(without(torch.ones(64, 64), forbidden),))
    drawn = network(inputs.z, inputs.noise, control=control, classes=torch.tensor([[1.0, 0.0]]))
    assert set((drawn.sources[..., 0] % 6).unique().tolist()) <= {2, 3}


def test_seeds_have_no_class_unless_it_is_asked_for() -> None:
    network = two_classes()
    assert own_classes(network, [0, 1]) is None
    rows = own_classes(network, range(300), by_class=True)
    assert rows is not None
    assert rows.mean(0).tolist() == pytest.approx([4 / 6, 2 / 6], abs=0.08)
    assert not torch.equal(sample_images(network, [3], by_class=True), sample_images(network, [3]))


def test_labels_that_are_none_are_refused() -> None:
    for labels in ((0, 0, 0, 0, 0, 0), (0, 1), (0, 1, 2, 0, 0, 0)):
        with pytest.raises(ValueError, match="each picture has one, and each class a picture"):
            RecombinerConfig(count=6, size=(64, 64), classes=("a", "b"), labels=labels)
