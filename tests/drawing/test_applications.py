"""What models of one picture do with pictures, by one set of functions; here with the one that was not trained."""

import pytest
import torch
from torch import Tensor

from sase_gan.api.control import make_control
from sase_gan.api.sample import sample as draw
from sase_gan.drawing import applications
from sase_gan.drawing.masks import move_region
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import UsageError
from sase_gan.pixels import read_image
from sase_gan.recombination.free import FreeRecombiner
from sase_gan.recombination.free_settings import FreeSettings
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.resizing import at_size, resize
from tests.drawing.test_injection import model as pyramid_model
from tests.recombination.test_free import landscape

SIZE = (43, 64)


class Quick(Recombiner):
    """A model whose pictures are hardly polished."""

    def _made(self, label: int | None = None) -> FreeRecombiner:
        return FreeRecombiner(self.pictures, variety=self.variety, settings=FreeSettings(polish_steps=4))


def instant(picture: Tensor) -> Recombiner:
    network = Quick(RecombinerConfig(form="free", count=1, size=tuple(picture.shape[1:]), names=("own.png",)))
    network.pictures.copy_(picture[None])
    return network


@pytest.fixture(scope="module")
def coffee() -> Recombiner:
    return instant(at_size(read_image("data/single/coffee.png"), SIZE))


def a_mask() -> Tensor:
    mask = torch.zeros(SIZE)
    mask[14:26, 20:34] = 1
    return mask


def test_the_training_size_gives_the_plain_samplers_pictures(coffee: Recombiner) -> None:
    plain = sample_images(coffee, [3, 5])
    assert torch.equal(applications.sample(coffee, [3, 5]), plain)
    assert torch.equal(draw(coffee, "5", size=SIZE, progress=False).pixels, plain[1:])
    assert applications.sample(coffee, [0], size=(30, 80)).shape == (1, 3, 30, 80)


def test_later_start_scales_change_less(coffee: Recombiner) -> None:
    strip = applications.strip(coffee)
    assert len(strip) == applications.last_scale(coffee) == 2
    changes = (strip.float() - coffee.pictures.float()).abs().mean((1, 2, 3))
    assert changes[0] > changes[1] > 0.5
    scaled = draw(coffee, "0", start_scale=2, progress=False).pixels
    assert torch.equal(scaled[0], strip[1])
    with pytest.raises(UsageError, match="start scale is 3; this model of 3 levels takes 1 to 2"):
        applications.inject(coffee, coffee.pictures[0], 3)
    small = instant(coffee.pictures[0][:, :16, :20])
    for ask in (applications.strip, lambda network: applications.paint_to_image(network, network.pictures[0])):
        with pytest.raises(UsageError, match="has a single level; a picture can enter only larger ones"):
            ask(small)


@pytest.mark.parametrize("way", ["edit", "harmonise", "inject", "strip"])
def test_outside_a_mask_the_training_picture_stays(coffee: Recombiner, way: str) -> None:
    rough, mask = move_region(coffee.pictures[0], (20, 14, 12, 10), (24, 4))
    drawn = {
        "edit": lambda: applications.edit(coffee, rough, mask),
        "harmonise": lambda: applications.harmonise(coffee, rough, mask),
        "inject": lambda: applications.inject(coffee, rough, 1, mask),
        "strip": lambda: applications.strip(coffee, rough, mask),
    }[way]()
    assert torch.equal(drawn[:, :, :, :20], coffee.pictures[:, :, :, :20].expand(len(drawn), -1, -1, -1))
    assert not torch.equal(
        drawn[:, :, 18:28, 44:56], coffee.pictures[:, :, 18:28, 44:56].expand(len(drawn), -1, -1, -1)
    )
    if way in ("harmonise", "strip"):  # which enter last of all, and what was pasted is there, roughly
        there, before, shown = (
            resize(x.float(), (9, 13))[..., 4:6, 9:11] for x in (drawn[-1:], coffee.pictures, rough[None])
        )
        assert (there - shown).abs().mean() < 0.6 * (before - shown).abs().mean()


def test_equal_seeds_give_equal_pixels(coffee: Recombiner) -> None:
    for draws in (
        lambda seeds: applications.symmetric(coffee, seeds),
        lambda seeds: applications.tile(coffee, seeds, size=(30, 40)),
        lambda seeds: applications.analogy(coffee, landscape(), seeds=seeds),
    ):
        together = draws([4, 7])
        assert torch.equal(together[1:], draws([7]))
        assert not torch.equal(together[0], together[1])


def test_symmetric_pictures_and_sizes(coffee: Recombiner) -> None:
    for size in (None, (40, 61)):
        drawn = applications.symmetric(coffee, [1], size=size)
        assert torch.equal(drawn, drawn.flip(-1))
    assert applications.retarget(coffee, (43, 40)).shape == (1, 3, 43, 40)
    assert applications.retarget(coffee, (60, 64)).shape == (1, 3, 60, 64)
    assert applications.retarget(coffee, SIZE).shape == (1, 3, *SIZE)


def test_an_analogy_has_the_layout_of_the_other_picture(coffee: Recombiner) -> None:
    layout = torch.full((3, 40, 60), 30, dtype=torch.uint8)
    layout[:, :, 30:] = 220

    def sides(picture: Tensor) -> float:
        grey = picture.float().mean(0)
        return float(grey[:, grey.shape[1] // 2 :].mean() - grey[:, : grey.shape[1] // 2].mean())

    drawn = applications.analogy(coffee, layout)[0]
    assert drawn.shape == (3, 43, 64)
    assert sides(drawn) > 60 > abs(sides(coffee.pictures[0]))
    assert sides(applications.analogy(coffee, layout.flip(2))[0]) < -60


def test_a_painting_is_understood(coffee: Recombiner) -> None:
    picture = coffee.pictures[0]
    dark, bright = (picture.flatten(1).float().quantile(share, 1).to(torch.uint8) for share in (0.1, 0.9))
    painting = torch.cat([dark[:, None, None].expand(3, 43, 32), bright[:, None, None].expand(3, 43, 32)], 2)
    drawn = applications.paint_to_image(coffee, painting.contiguous()).float()
    assert drawn[..., 32:].mean() > drawn[..., :32].mean() + 60
    assert drawn[..., 36:].std() > 2  # no longer flat


def test_frames_follow_one_another(coffee: Recombiner) -> None:
    film = applications.animate(coffee, 6, seed=1).float()
    assert film.shape == (6, 3, *SIZE)
    steps = (film[1:] - film[:-1]).abs()
    assert steps.mean() > 0.02
    assert steps.mean() < (film[-1] - coffee.pictures[0].float()).abs().mean()  # a way, not a jump to and fro
    assert torch.equal(applications.animate(coffee, 2, seed=1).float(), film[:2])


def test_what_is_inpainted_does_not_come_back(coffee: Recombiner) -> None:
    picture, mask = coffee.pictures[0], a_mask()
    control = make_control(coffee, picture=picture, mask=mask)
    assert torch.equal(control.hidden, mask[None] > 0)
    assert make_control(coffee, picture=picture, mask=mask, strength=0.5).hidden is None
    assert make_control(coffee, picture=landscape(2, *SIZE), mask=mask).hidden is None
    images = draw(coffee, "0-1", control={"picture": picture, "mask": mask}, sources=True, progress=False)
    outside = mask == 0
    assert torch.equal(images.pixels[:, :, outside], picture[:, outside].expand(2, -1, -1))
    row, column = images.origins.sources[:, ~outside][..., 1:].long().unbind(-1)
    assert (mask[row, column] == 0).all()


def test_a_photograph_is_varied_by_strength(coffee: Recombiner) -> None:
    picture = coffee.pictures[0]
    little, much = (
        draw(coffee, "0", control={"picture": picture, "strength": strength}, progress=False).pixels.float()
        for strength in (0.0, 0.8)
    )
    assert (little - picture).abs().mean() < 0.5 * (much - picture).abs().mean()


def test_what_a_model_cannot_do_is_refused() -> None:
    aligned = Recombiner(RecombinerConfig(count=2, size=(64, 64)))
    with pytest.raises(UsageError, match="sase-gan recombine MODEL --from PHOTO"):
        applications.sample(aligned, [0], size=(20, 20))
    pyramid = pyramid_model()
    with pytest.raises(UsageError, match="--preset instant"):
        applications.retarget(pyramid, (20, 30))
    with pytest.raises(UsageError, match="--preset instant"):
        applications.symmetric(pyramid, [0])
    with pytest.raises(UsageError, match="--preset instant"):
        applications.analogy(pyramid, landscape())


def test_a_pyramid_does_as_before() -> None:
    from sase_gan.drawing import injection

    pyramid = pyramid_model()
    image = torch.randint(0, 256, (3, 18, 24), dtype=torch.uint8)
    assert torch.equal(applications.inject(pyramid, image, 1), injection.inject(pyramid, image, 1).masked)
    assert torch.equal(applications.paint_to_image(pyramid, image), injection.paint_to_image(pyramid, image))
    assert torch.equal(applications.animate(pyramid, 2), injection.animate(pyramid, 2))
    assert len(applications.strip(pyramid)) == applications.last_scale(pyramid) == 2
