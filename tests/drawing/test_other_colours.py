"""Models of one picture in grey and with transparency: against those of colours where both must agree."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sase_gan.colours import Colours, filed, learnt, seen
from sase_gan.drawing import applications
from sase_gan.drawing.finishing import finish
from sase_gan.drawing.masks import nearest_colours
from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.networks.load import load_network, own_colours, own_picture
from sase_gan.networks.pyramid import Pyramid
from sase_gan.recombination.free import FreeRecombiner
from sase_gan.recombination.free_settings import FreeSettings
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from tests.drawing.test_injection import model as pyramid_model
from tests.recombination.test_free import PLAIN, inputs, landscape

SIZE = (36, 48)


class Quick(Recombiner):
    """A model whose pictures are hardly polished."""

    def _made(self, label: int | None = None) -> FreeRecombiner:
        return FreeRecombiner(self.matched(self.pictures), settings=FreeSettings(coarsest=20, polish_steps=3))


def instant(picture: Tensor, colours: Colours) -> Recombiner:
    network = Quick(RecombinerConfig(form="free", count=1, size=SIZE, names=("own.png",), colours=colours)).eval()
    network.pictures.copy_(picture[None])
    return network


def drawing() -> Tensor:
    """A disc of a landscape with a soft rim on clear ground, as inside: uint8 `[4, *SIZE]`."""
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    alpha = ((13 - ((y - 17.5) ** 2 + (x - 23.5) ** 2).sqrt()) / 3).clamp(0, 1) * 255
    return learnt(torch.cat([landscape(), alpha.to(torch.uint8)[None]]))


def a_mask() -> Tensor:
    mask = torch.zeros(SIZE)
    mask[14:20, 20:28] = 1
    return mask


APPLICATIONS: dict[str, Callable[[Recombiner], Tensor]] = {
    "sample": lambda network: applications.sample(network, [1], size=(30, 60)),
    "inject": lambda network: applications.inject(network, landscape(5), 1),
    "edit": lambda network: applications.edit(network, landscape(5), a_mask()),
    "paint": lambda network: applications.paint_to_image(network, landscape(6), colours=4),
    "retarget": lambda network: applications.retarget(network, (30, 60)),
    "symmetric": lambda network: applications.symmetric(network, [2]),
    "analogy": lambda network: applications.analogy(network, landscape(7)),
    "animate": lambda network: applications.animate(network, 1),
}


@pytest.mark.parametrize("what", APPLICATIONS)
def test_a_grey_picture_is_one_of_colours_that_has_none(what: str) -> None:
    """What a visitor brings has colours here, and comes to the coloured model as the grey one sees it.

    Of three channels, which the polish moves a little apart, the grey one has the mean.
    """
    grey = landscape()[:1]
    one, three = instant(grey, "grey"), instant(grey.expand(3, -1, -1), "rgb")
    given = [landscape(seed) for seed in (5, 6, 7)]
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert all(((one.matched(each) - (each * weights).sum(0)).abs() <= 0.51).all() for each in given)
    three.matched = one.matched  # type: ignore[method-assign]
    drawn = APPLICATIONS[what](one)
    assert drawn.shape[1] == (3 if what == "animate" else 1)
    assert (drawn - APPLICATIONS[what](three).float().mean(1, keepdim=True)).abs().max() <= 1


def test_an_opaque_picture_is_recombined_as_one_of_colours() -> None:
    """Where all is equally opaque, transparency tells no patch from another, and its noise moves no weight."""
    picture = landscape()[None]
    opaque = torch.cat([picture, torch.full_like(picture[:, :1], 255)], 1)
    coloured, clear = FreeRecombiner(picture, settings=PLAIN), FreeRecombiner(opaque, settings=PLAIN)
    z, noise = inputs(coloured, 1)
    more = [torch.cat([one, torch.randn_like(one[:, :1])], 1) for one in (z, *noise)]
    expected, drawn = coloured.draw(z, noise), clear.draw(more[0], more[1:])
    same = (drawn.sources == expected.sources).all(-1).double().mean()
    assert same > 0.99  # but for the last bit of a sum
    assert (drawn.pictures[:, 3] - 1).abs().max() < 1e-5
    assert (drawn.pictures[:, :3] - expected.pictures).abs().mean() < 1e-3


@pytest.mark.parametrize("kind", ["instant", "pyramid"])
def test_outside_a_mask_clear_ground_stays_clear(kind: str) -> None:
    if kind == "instant":
        network: Recombiner | Pyramid = instant(drawing(), "rgba")
    else:
        network = pyramid_model(colours="rgba", finished_stages=2)
        network.picture.copy_(torch.nn.functional.avg_pool2d(drawing().float()[None], 2)[0].to(torch.uint8))
    own = own_colours(network)
    assert torch.equal(own_picture(network), seen(own))
    mask = torch.zeros(network.size)
    mask[7:11, 10:14] = 1
    changed = own.clone()
    changed[:, mask > 0] = torch.tensor([200, 0, 0, 255], dtype=torch.uint8)[:, None]
    drawn = applications.harmonise(network, changed, mask)
    assert drawn.shape == (1, 4, *network.size)
    assert torch.equal(drawn[0, :, :, -3:], own[:, :, -3:])
    assert torch.equal(filed(drawn)[0, :, 0, 0], torch.tensor([255, 255, 255, 0], dtype=torch.uint8))
    # A picture that knows no transparency is opaque where it enters.
    assert applications.inject(network, landscape(5, *network.size), 1).shape == (1, 4, *network.size)
    film = applications.animate(network, 1)
    assert film.shape[1] == 3
    assert torch.equal(sample_images(network, [0], ground="file"), filed(applications.sample(network, [0])))


def test_a_grey_pyramid_is_one_of_colours_that_sees_and_draws_three_equal_channels(tmp_path: Path) -> None:
    grey, coloured = (pyramid_model(colours=colours, finished_stages=2) for colours in ("grey", "rgb"))
    coloured.picture.copy_(grey.picture.expand(3, -1, -1))
    weights = grey.state_dict()
    for name, value in coloured.state_dict().items():
        if name.endswith("tail.weight") or name.endswith("tail.bias"):
            weights[name] = weights[name].expand_as(value)
        elif name.endswith("head.0.weight"):
            weights[name] = weights[name].expand_as(value) / 3
        elif name == "picture":
            weights[name] = value
    coloured.load_state_dict(weights)
    inputs = draw_inputs(grey, [0, 1])
    assert inputs.noise is not None
    assert [tuple(part.shape[1:]) for part in inputs.noise] == list(grey.noise_shapes()) == [(1, 15, 20), (1, 18, 24)]
    wide = [part.expand(-1, 3, -1, -1) for part in inputs.noise]
    drawn = grey(inputs.z, inputs.noise).big
    torch.testing.assert_close(coloured(inputs.z, wide).big, drawn.expand(-1, 3, -1, -1), atol=1e-5, rtol=0)
    # Distances of patches are three times as large and so is what they are compared with: the same patches are nearest.
    one, three = finish(grey, drawn), finish(coloured, drawn.expand(-1, 3, -1, -1))
    assert ((one - three).abs() > 1e-3).double().mean() < 0.02  # where two patches are equally near
    grey.save_pretrained(tmp_path)
    assert torch.equal(sample_images(load_network(tmp_path), [3]), sample_images(grey, [3]))  # type: ignore[arg-type]


def test_an_opaque_painting_gets_the_transparency_of_the_colours_that_it_shows() -> None:
    colours = torch.tensor([[255, 255, 255, 0], [0, 200, 0, 255]], dtype=torch.uint8)
    painting = torch.tensor([[250, 10], [250, 180], [250, 10], [255, 255]], dtype=torch.uint8).view(4, 1, 2)
    assert nearest_colours(painting, colours)[3].flatten().tolist() == [0, 255]
    # With a clear pixel it says itself what is clear; white that is opaque gets the nearest of both.
    painting = torch.cat([painting, torch.tensor([255, 255, 255, 0], dtype=torch.uint8).view(4, 1, 1)], 2)
    colours = torch.cat([colours, torch.tensor([[250, 240, 230, 255]], dtype=torch.uint8)])
    assert nearest_colours(painting, colours)[:, 0].T.tolist() == [
        [250, 240, 230, 255],
        [0, 200, 0, 255],
        [255] * 3 + [0],
    ]
