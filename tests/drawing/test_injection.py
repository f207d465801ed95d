"""What a one-shot pyramid does with pictures: exact where nothing may change, alike where paths must agree."""

import inspect

import pytest
import torch
from torch import Tensor

from sase_gan.drawing import injection as applications
from sase_gan.drawing.finishing import finish
from sase_gan.drawing.injection import (
    animate,
    edit,
    harmonise,
    inject,
    inject_strip,
    paint_to_image,
    sample,
    tile,
    walk_around,
)
from sase_gan.drawing.masks import blend, main_colours, move_region, nearest_colours, soft_mask
from sase_gan.drawing.sampling import sample_images
from sase_gan.drawing.walks import latent_walk
from sase_gan.errors import UsageError
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.pixels import to_float, to_uint8
from sase_gan.resizing import resize
from sase_gan.seeds import generator

SIZES = ((12, 16), (15, 20), (18, 24))


def model(**settings: object) -> Pyramid:
    torch.manual_seed(0)
    settings = {"width": 8, "num_components": 2, "norm": "batch", "finished_stages": 0} | settings
    pyramid = Pyramid(PyramidConfig(sizes=SIZES, **settings)).eval()
    pyramid.amplitudes.copy_(torch.tensor([1.0, 0.3, 0.2]))
    pyramid.fixed0.normal_()
    pyramid.picture.copy_(torch.randint(0, 256, pyramid.picture.shape, dtype=torch.uint8))
    for module in pyramid.modules():  # an untrained tail is nearly constant
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    return pyramid


@pytest.fixture
def pyramid() -> Pyramid:
    return model()


def a_picture(height: int = 18, width: int = 24) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


# -- finishing --------------------------------------------------------------------------------------------------------


def test_finished_samples_are_made_of_the_training_picture() -> None:
    pyramid = model(finished_stages=2)
    colours = torch.tensor([[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]], dtype=torch.uint8)
    pyramid.picture.copy_(colours[torch.randint(0, 4, (18, 24))].movedim(2, 0))
    finished = sample(pyramid, range(3))
    assert torch.equal(sample_images(pyramid, range(3)), finished)
    pyramid.finished_stages = 0
    plain = sample(pyramid, range(3))
    assert torch.equal(sample_images(pyramid, range(3)), plain)

    def strangeness(pictures: Tensor) -> float:
        rows = pictures.float().movedim(1, 3).reshape(-1, 3)
        return torch.cdist(rows, pyramid.picture.float().flatten(1).T).min(1).values.mean().item()

    assert strangeness(finished) < 0.7 * strangeness(plain)


def test_a_finished_picture_is_the_same_in_every_batch() -> None:
    pyramid = model(finished_stages=2)
    together = sample(pyramid, [1, 2, 3], size=(20, 40), batch_size=3)
    assert torch.equal(together[1:2], sample(pyramid, [2], size=(20, 40)))
    assert torch.equal(sample_images(pyramid, [1, 2], batch_size=2)[1:], sample_images(pyramid, [2]))


def test_a_pasted_object_keeps_its_colour() -> None:
    pyramid = model(finished_stages=2)
    mask = torch.zeros(18, 24)
    mask[4:9, 5:11] = 1
    kept = harmonise(model(), a_picture(), mask, 2)
    assert torch.equal(harmonise(pyramid, a_picture(), mask, 2), kept)
    finished = inject(pyramid, a_picture(), 2, mask, dilate=applications.HARMONISE_RADIUS).masked
    assert not torch.equal(finished, kept)


def test_films_and_the_stages_before_the_start_are_not_finished() -> None:
    raw, finishing = model(), model(finished_stages=2)
    assert torch.equal(animate(finishing, 3), animate(raw, 3))
    assert torch.equal(latent_walk(finishing, [1, 2], steps=2), latent_walk(raw, [1, 2], steps=2))
    drawn = to_float(sample(raw, [4]))
    assert torch.equal(finish(finishing, drawn, start=3), drawn)


# -- sampling ---------------------------------------------------------------------------------------------------------


def test_training_size_gives_the_plain_samplers_pictures(pyramid: Pyramid) -> None:
    plain = sample_images(pyramid, [3, 8])
    assert torch.equal(sample(pyramid, [3, 8]), plain)
    assert torch.equal(sample(pyramid, [3, 8], size=(18, 24)), plain)
    assert plain.shape == (2, 3, 18, 24)
    assert not torch.equal(plain[0], plain[1])


def test_a_picture_depends_on_its_seed_alone(pyramid: Pyramid) -> None:
    together = sample(pyramid, [1, 2, 3], size=(20, 40), batch_size=3)
    alone = sample(pyramid, [2], size=(20, 40))
    assert (together[1:2].int() - alone.int()).abs().max() <= 1


def test_a_later_start_keeps_the_layout_of_the_training_picture(pyramid: Pyramid) -> None:
    with torch.no_grad():
        rebuilt = to_uint8(pyramid.reconstruct().big)
    assert torch.equal(sample(pyramid, [5], start_scale=2, noise="off"), rebuilt)
    assert not torch.equal(sample(pyramid, [5], start_scale=2), rebuilt)
    # Without noise the seed says nothing any more.
    assert torch.equal(sample(pyramid, [6], start_scale=1, noise="off"), rebuilt)
    with pytest.raises(UsageError, match="start scale is 3; this model of 3 stages takes 0 to 2"):
        sample(pyramid, [0], start_scale=3)


def test_walks_go_from_picture_to_picture(pyramid: Pyramid) -> None:
    frames = latent_walk(pyramid, [1, 2], steps=3)
    assert frames.shape == (4, 3, 18, 24)
    assert torch.equal(frames[0], sample_images(pyramid, [1])[0])


def test_training_styles_change_other_proportions_only(pyramid: Pyramid) -> None:
    wide = sample(pyramid, [0], size=(18, 72))
    kept = sample(pyramid, [0], size=(18, 72), styles="train")
    assert wide.shape == kept.shape == (1, 3, 18, 72)
    assert not torch.equal(wide, kept)
    with pytest.raises(UsageError, match="styles is 'old'"):
        sample(pyramid, [0], styles="old")


# -- inject -----------------------------------------------------------------------------------------------------------


def test_an_empty_mask_returns_the_training_picture_and_a_full_one_what_was_drawn(pyramid: Pyramid) -> None:
    nothing, everything = torch.zeros(18, 24), torch.ones(18, 24)
    empty = inject(pyramid, a_picture(), 1, nothing, seeds=(0, 1))
    assert torch.equal(empty.masked, pyramid.picture.expand(2, -1, -1, -1))
    full = inject(pyramid, a_picture(), 1, everything, seeds=(0, 1))
    assert torch.equal(full.masked, full.unmasked)
    assert torch.equal(full.unmasked, empty.unmasked)
    assert torch.equal(inject(pyramid, a_picture(), 1, seeds=(0, 1)).masked, full.unmasked)


def test_a_mask_changes_its_surroundings_only(pyramid: Pyramid) -> None:
    mask = torch.zeros(18, 24)
    mask[:3, :3] = 1
    result = inject(pyramid, a_picture(), 1, mask, dilate=12)  # under a pixel and a half of soft edge at this size
    changed = (result.masked[0] != pyramid.picture).any(0)
    assert changed[:2, :2].all()
    assert not changed[8:, 8:].any()


def test_equal_seeds_give_equal_pixels(pyramid: Pyramid) -> None:
    first = inject(pyramid, a_picture(), 2, seeds=(4, 5)).unmasked
    assert torch.equal(first, inject(pyramid, a_picture(), 2, seeds=(4, 5)).unmasked)
    assert not torch.equal(first[0], first[1])
    quiet = inject(pyramid, a_picture(), 2, seeds=(4, 5), noise="off").unmasked
    assert torch.equal(quiet[0], quiet[1])


def test_the_picture_enters_at_the_size_of_the_stage_before(pyramid: Pyramid) -> None:
    """What the coarser stage cannot hold is forgotten: pictures that agree at its size give one result."""
    flat = torch.full((3, 18, 24), 90, dtype=torch.uint8)
    small = torch.full((3, 9, 12), 90, dtype=torch.uint8)
    assert torch.equal(inject(pyramid, flat, 1).unmasked, inject(pyramid, small, 1).unmasked)


def test_the_picture_is_brought_to_the_size_of_the_result_before(
    pyramid: Pyramid, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[Tensor] = []
    draw = applications._draw
    monkeypatch.setattr(
        applications,
        "_draw",
        lambda model, seeds, x, *rest, **more: entered.append(x) or draw(model, seeds, x, *rest, **more),
    )
    inject(pyramid, a_picture(36, 48), 1)
    expected = resize(resize(to_float(a_picture(36, 48))[None], (18, 24)), (12, 16)).clamp(-1, 1)
    assert torch.equal(entered[0], expected)
    assert inspect.signature(inject).parameters["dilate"].default == 0


@pytest.mark.parametrize("scale", [0, -1, 3])
def test_a_start_scale_out_of_range_is_refused(pyramid: Pyramid, scale: int) -> None:
    with pytest.raises(UsageError, match=f"start scale is {scale}; this model of 3 stages takes 1 to 2"):
        inject(pyramid, a_picture(), scale)


def test_other_proportions_need_a_size(pyramid: Pyramid) -> None:
    with pytest.raises(UsageError, match="the picture is 40x18, the model's 24x18"):
        inject(pyramid, a_picture(18, 40), 1)
    assert inject(pyramid, a_picture(18, 40), 1, size=(18, 40)).unmasked.shape == (1, 3, 18, 40)
    # Five in a hundred are let through, whichever side is the longer.
    for picture, fits in (((20, 28), False), ((20, 27), True), ((20, 25), False), ((40, 51), True), ((40, 55), True)):
        if fits:
            applications.check_proportions(a_picture(*picture), (18, 24), None)
        else:
            with pytest.raises(UsageError, match="crop it to the same proportions"):
                applications.check_proportions(a_picture(*picture), (18, 24), None)
    with pytest.raises(UsageError, match="uint8"):
        inject(pyramid, a_picture().float(), 1)


def test_the_strip_holds_every_start_scale(pyramid: Pyramid) -> None:
    strip = inject_strip(pyramid, a_picture(), seed=3)
    assert strip.unmasked.shape == (2, 3, 18, 24)
    for scale in (1, 2):
        assert torch.equal(strip.unmasked[scale - 1], inject(pyramid, a_picture(), scale, seeds=(3,)).unmasked[0])


# -- applications -----------------------------------------------------------------------------------------------------


def test_harmonise_and_edit_differ_in_their_rim(pyramid: Pyramid) -> None:
    mask = torch.zeros(18, 24)
    mask[8:11, 10:14] = 1
    changed = [
        (function(pyramid, a_picture(), mask, 1)[0] != pyramid.picture).any(0).sum() for function in (harmonise, edit)
    ]
    assert 12 <= changed[0] < changed[1] < 18 * 24
    assert harmonise(pyramid, a_picture(), mask, seeds=(0, 1)).shape == (2, 3, 18, 24)
    # By default at the last stage, and at seven tenths of the way.
    assert torch.equal(harmonise(pyramid, a_picture(), mask), harmonise(pyramid, a_picture(), mask, 2))
    assert not torch.equal(harmonise(pyramid, a_picture(), mask), harmonise(pyramid, a_picture(), mask, 1))
    assert torch.equal(edit(pyramid, a_picture(), mask), edit(pyramid, a_picture(), mask, 1))
    assert not torch.equal(edit(pyramid, a_picture(), mask), edit(pyramid, a_picture(), mask, 2))
    assert torch.equal(edit(pyramid, a_picture(), mask), edit(pyramid, a_picture(), mask, seeds=(0,)))
    rims = {harmonise: applications.HARMONISE_RADIUS, edit: applications.EDIT_RADIUS}
    for function, radius in rims.items():
        drawn = inject(pyramid, a_picture(), 1, mask, dilate=radius).masked
        assert torch.equal(function(pyramid, a_picture(), mask, 1), drawn)
    plain = inject(pyramid, a_picture(), 1, mask)
    assert torch.equal(plain.masked, blend(pyramid.picture, plain.unmasked, soft_mask(mask, (18, 24))))


def test_paintings_may_take_the_pictures_colours(pyramid: Pyramid) -> None:
    painting = a_picture()
    recoloured = nearest_colours(painting, main_colours(pyramid.picture, 3))
    assert torch.equal(paint_to_image(pyramid, painting, colours=3), inject(pyramid, recoloured, 1).unmasked)


def test_animations_wander_around_the_training_picture(pyramid: Pyramid) -> None:
    film = animate(pyramid, 5, batch_size=2)
    assert film.shape == (5, 3, 18, 24)
    assert animate(pyramid, 1).shape == (1, 3, 18, 24)
    # Stages before the start stand still, on the picture that they rebuild.
    with torch.no_grad():
        carried = pyramid.reconstruct(2).stages[-1]
        targets = [pyramid.fixed0, *(torch.zeros(1, *shape) for shape in pyramid.noise_shapes())]
        walk = walk_around(targets, generator(0, "animation"), 0.1, 0.9)
        expected = [to_uint8(pyramid.climb(next(walk), start=2, carried=carried).big)[0] for _ in range(3)]
    assert (animate(pyramid, 3, start_scale=2).int() - torch.stack(expected).int()).abs().max() <= 1
    again = animate(pyramid, 5, batch_size=5, start_scale=0)
    assert (film.int() - again.int()).abs().max() <= 1
    with torch.no_grad():
        rebuilt = to_uint8(pyramid.reconstruct().big)[0]
    # All pull and no motion: from the second frame on the noise is that of the reconstruction.
    still = animate(pyramid, 3, alpha=1.0, start_scale=0)
    assert torch.equal(still[1], rebuilt)
    assert torch.equal(still[2], rebuilt)
    assert not torch.equal(film[0], film[4])
    with pytest.raises(UsageError, match="frames is 0"):
        animate(pyramid, 0)
    for alpha, beta in ((-0.1, 0.5), (1.1, 0.5), (0.5, -0.1), (0.5, 1.1)):
        with pytest.raises(UsageError, match=f"alpha is {alpha} and beta {beta}; both must be between 0 and 1"):
            animate(pyramid, 3, alpha=alpha, beta=beta)
    for alpha, beta in ((0, 0), (0, 1), (1, 0)):
        applications.check_walk(1, alpha, beta)


def test_walks_follow_their_formula() -> None:
    targets = [torch.randn(1, 2, 3), torch.zeros(1, 1, 4)]
    source = torch.Generator().manual_seed(7)
    walk = walk_around(targets, torch.Generator().manual_seed(7), 0.3, 0.6)
    before = targets
    now = [0.95 * target + 0.05 * torch.randn(target.shape, generator=source) for target in targets]
    for _ in range(4):
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(next(walk), now, strict=True))
        fresh = [torch.randn(z.shape, generator=source) for z in now]
        after = [0.3 * targets[i] + 0.7 * (now[i] + 0.6 * (now[i] - before[i]) + 0.4 * fresh[i]) for i in range(2)]
        before, now = now, after


def test_tiles_have_no_seam(pyramid: Pyramid) -> None:
    """The step across the seam is no larger than steps inside; with zero padding it is."""

    def seam(images: Tensor) -> tuple[float, float]:
        values = images.float()
        inside = (values[..., 1:] - values[..., :-1]).abs().mean().item()
        return (values[..., 0] - values[..., -1]).abs().mean().item(), inside

    seeds = range(12)
    across, inside = seam(tile(pyramid, seeds, size=(24, 32)))
    assert across < 1.3 * inside
    assert seam(sample(pyramid, seeds, size=(24, 32)))[0] > across


# -- masks and colours ------------------------------------------------------------------------------------------------


def test_masks_grow_by_a_disk_of_the_radius_at_that_size() -> None:
    mask = torch.zeros(250, 250)
    mask[125, 125] = 1
    grown = soft_mask(mask, (250, 250), dilate=7, feather=0)[0]
    rows, columns = torch.meshgrid(torch.arange(250), torch.arange(250), indexing="ij")
    assert torch.equal(grown.bool(), (rows - 125) ** 2 + (columns - 125) ** 2 <= 49)
    mask[124:126, 124:126] = 1
    half = soft_mask(mask, (125, 125), dilate=7, feather=0)[0]
    rows, columns = rows[:125, :125], columns[:125, :125]
    assert torch.equal(half.bool(), (rows - 62) ** 2 + (columns - 62) ** 2 <= 16)


def test_soft_edges_reach_from_nothing_to_all() -> None:
    mask = torch.zeros(60, 80)
    mask[20:40, 30:50] = 1
    weights = soft_mask(mask, (60, 80), feather=5)
    assert weights.shape == (1, 60, 80)
    assert (weights.min(), weights.max()) == (0, 1)
    row = weights[0, 30, 30:80]
    assert (row[11:].diff() <= 0).all()
    assert 0.3 < weights[0, 30, 30] < 0.7
    as_picture = soft_mask((mask * 255).to(torch.uint8).expand(3, -1, -1), (60, 80), feather=5)
    assert torch.equal(weights, as_picture)
    with pytest.raises(UsageError, match="the mask has shape"):
        soft_mask(torch.zeros(4), (4, 4))


def test_blending_is_exact_at_the_ends() -> None:
    base, drawn = a_picture(), a_picture().flip(0)
    assert torch.equal(blend(base, drawn, torch.zeros(1, 18, 24)), base)
    assert torch.equal(blend(base, drawn, torch.ones(1, 18, 24)), drawn)


def test_moved_regions_are_copied_and_clipped() -> None:
    picture = a_picture(10, 12)
    edited, mask = move_region(picture, (1, 2, 4, 3), (5, 1))
    assert torch.equal(edited[:, 3:6, 6:10], picture[:, 2:5, 1:5])
    assert mask.sum() == 12
    assert torch.equal(edited[:, ~mask], picture[:, ~mask])
    clipped, mask = move_region(picture, (0, 0, 4, 4), (10, -2))
    assert mask.nonzero().tolist() == [[row, column] for row in (0, 1) for column in (10, 11)]
    assert torch.equal(clipped[:, 0:2, 10:12], picture[:, 2:4, 0:2])
    with pytest.raises(UsageError, match="must lie within"):
        move_region(picture, (9, 0, 4, 4), (0, 0))
    with pytest.raises(UsageError, match="out of the picture"):
        move_region(picture, (0, 0, 4, 4), (12, 0))


def test_main_colours_find_the_colours_of_a_flat_picture() -> None:
    colours = torch.tensor([[10, 20, 30], [200, 180, 10], [90, 120, 250]], dtype=torch.uint8)
    indices = torch.randint(3, (16, 16), generator=torch.Generator().manual_seed(0))
    picture = colours[indices].permute(2, 0, 1)
    found = main_colours(picture, 3)
    assert sorted(found.tolist()) == sorted(colours.tolist())
    assert torch.equal(nearest_colours(picture, colours), picture)
    with pytest.raises(UsageError, match="colours is 0"):
        main_colours(picture, 0)


def test_default_scales_exist_for_every_depth() -> None:
    for stages in (2, 3, 6, 10):
        pyramid = Pyramid(PyramidConfig(sizes=((12, 12),) * stages, width=4))
        for share in (0.6, 0.7):
            assert 1 <= applications._scale_at(pyramid, share) <= stages - 1
