"""Drawing out of patches: exact search against a slow reference, fixed points, wrapping, the local search."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.drawing import finishing, patch_matching
from sase_gan.drawing.patch_matching import COMPLETENESS, PATCH, PatchPainter
from sase_gan.metrics.single_image import patch_swd
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.pixels import to_uint8
from sase_gan.resizing import resize

SIZES = [(18, 22), (27, 33)]


def landscape(height: int = 27, width: int = 33) -> Tensor:
    """A picture without two equal patches: slopes and smooth noise, in [-1, 1]."""
    source = torch.Generator().manual_seed(3)
    noise = resize(torch.rand(1, 3, 9, 11, generator=source) * 2 - 1, (height, width))
    slope = torch.linspace(-0.5, 0.5, height)[:, None] + torch.linspace(-0.3, 0.3, width)
    return (0.6 * noise + slope).clamp(-1, 1)


def test_the_nearest_key_by_normalised_distance() -> None:
    source = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(count, 5, generator=source) for count in (40, 30))
    distances = [[float(((q - k).double() ** 2).sum()) for k in keys] for q in queries]
    expected = []
    for row in distances:
        scores = [
            row[k] / (COMPLETENESS * 3 * PATCH**2 + min(other[k] for other in distances)) for k in range(len(keys))
        ]
        expected.append(scores.index(min(scores)))
    assert patch_matching._nearest(queries, keys).tolist() == expected


def test_the_example_is_drawn_as_it_is() -> None:
    example = landscape()
    redrawn = PatchPainter(example, SIZES[1:]).redraw(example, SIZES[1:])
    assert torch.allclose(redrawn, example, atol=1e-5)


def test_a_blurred_picture_becomes_sharp_again() -> None:
    example = (landscape() + 0.4 * torch.randn(1, 3, 27, 33, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    blurred = resize(resize(example, (14, 17)), (27, 33))
    redrawn = PatchPainter(example, SIZES).redraw(blurred, SIZES)
    assert (redrawn - example).square().mean() < 0.25 * (blurred - example).square().mean()


def test_any_picture_comes_nearer_to_the_examples_patches() -> None:
    example = resize(landscape(), (36, 44))
    foreign = torch.rand(2, 3, 30, 60, generator=torch.Generator().manual_seed(2)) * 2 - 1
    redrawn = PatchPainter(example, [(24, 29), (36, 44)]).redraw(foreign, [(20, 40), (30, 60)])
    assert redrawn.shape == foreign.shape
    assert redrawn.min() >= example.min() - 1e-5
    assert redrawn.max() <= example.max() + 1e-5

    def strangeness(pictures: Tensor) -> float:
        rows, known = (F.unfold(x, 5).movedim(1, 2).flatten(0, 1) for x in (pictures, example))
        return torch.cdist(rows, known).min(1).values.mean().item()

    assert strangeness(redrawn) < 0.25 * strangeness(foreign)
    assert not torch.equal(redrawn[0], redrawn[1])


def test_with_circular_padding_a_rolled_picture_gives_a_rolled_result() -> None:
    painter = PatchPainter(landscape(), SIZES[1:], padding="circular")
    picture = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(5)) * 2 - 1
    plain = painter.redraw(picture, [(20, 24)])
    rolled = painter.redraw(picture.roll((7, 9), (2, 3)), [(20, 24)])
    assert torch.allclose(rolled, plain.roll((7, 9), (2, 3)), atol=1e-5)


def test_looking_around_mends_a_match_that_is_nearly_right() -> None:
    keys = landscape(40, 48)[0].movedim(0, 2)
    queries = keys[4:30, 6:40]
    right = torch.stack(torch.meshgrid(torch.arange(4, 30), torch.arange(6, 40), indexing="ij"), 2)
    guess = right + torch.randint(-2, 3, right.shape, generator=torch.Generator().manual_seed(0))
    found = patch_matching._nearest_around(queries, keys, guess)
    assert (found == right).all(2).float().mean() > 0.99
    # At the edges of the example too.
    whole = torch.stack(torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij"), 2)
    found = patch_matching._nearest_around(keys, keys, (whole + 1).clamp_max(torch.tensor([39, 47])))
    assert (found == whole).all(2).float().mean() > 0.99
    assert min((found[0] == whole[0]).float().mean(), (found[:, 0] == whole[:, 0]).float().mean()) > 0.9


def test_a_key_that_nothing_resembles_becomes_cheaper_when_looking_around() -> None:
    # The first query is nearer to the first key, which the second query is equal to; nothing is like the second key.
    queries = torch.tensor([[[0.0], [-3.0]]])
    keys = torch.tensor([[[-3.0], [4.0]]])
    found = patch_matching._nearest_around(queries, keys, torch.zeros(1, 2, 2, dtype=torch.long))
    assert found[..., 1].tolist() == patch_matching._nearest(queries[0], keys[0])[None].tolist() == [[1, 0]]


def test_looking_around_improves_on_a_guess() -> None:
    source = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(9, 8, 5, generator=source), torch.randn(7, 11, 5, generator=source)
    guess = torch.stack([torch.randint(0, side, (9, 8), generator=source) for side in (7, 11)], 2)
    pairs = torch.cdist(queries.reshape(-1, 5), keys.reshape(-1, 5)).square()
    scores = pairs / (pairs.min(0).values + COMPLETENESS * 3 * PATCH**2)

    def mean_score(match: Tensor) -> float:
        return scores.gather(1, (match[..., 0] * 11 + match[..., 1]).view(-1, 1)).mean().item()

    found = patch_matching._nearest_around(queries, keys, guess)
    best = scores.min(1).values.mean().item()
    assert best <= mean_score(found) < best + 0.25 * (mean_score(guess) - best)


def test_looking_around_serves_instead_of_comparing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    example = landscape(40, 48)
    sizes = [(20, 24), (40, 48)]
    picture = resize(example.flip(3), (20, 24))
    exact = PatchPainter(example, sizes).redraw(picture, sizes)
    monkeypatch.setattr(patch_matching, "EXACT_LIMIT", 20 * 24 * 20 * 24)
    near = PatchPainter(example, sizes).redraw(picture, sizes)
    assert not torch.equal(exact, near)
    scores = [patch_swd(to_uint8(drawn)[0], to_uint8(example)[0]) for drawn in (exact, near)]
    assert scores[1] < 1.5 * scores[0] + 0.005


def test_a_large_first_level_is_matched_at_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    example = landscape(40, 48)
    assert PatchPainter(example, [(40, 48)]).guide is None
    monkeypatch.setattr(patch_matching, "EXACT_LIMIT", 90_000)
    compared = []
    exact = patch_matching._nearest
    monkeypatch.setattr(patch_matching, "_nearest", lambda q, k, n: compared.append(len(q) * len(k)) or exact(q, k, n))
    redrawn = PatchPainter(example, [(40, 48)]).redraw(example, [(40, 48)])
    assert len(compared) == 1
    assert compared[0] <= 90_000
    assert (redrawn - example).square().mean() < 0.01 * example.var()


def test_a_match_is_carried_to_the_next_level() -> None:
    before, level = PatchPainter(landscape(), [(18, 22), (36, 44)]).levels
    rows, columns = before.places
    same = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), 2)
    carried = patch_matching._carried(same, before, level, level.places)
    here = torch.stack(torch.meshgrid(*(torch.arange(side) for side in level.places), indexing="ij"), 2)
    assert torch.equal(carried, here)
    # What lies at the far edge is carried no farther.
    edge = torch.tensor([rows - 1, columns - 1]).expand_as(same)
    assert patch_matching._carried(edge, before, level, level.places).flatten(0, 1).amax(0).tolist() == [
        side - 1 for side in level.places
    ]


def test_a_level_looks_as_the_level_before_shows_it_in_the_first_round() -> None:
    example = torch.rand(1, 3, 24, 24, dtype=torch.float64)
    level = patch_matching._level(example, (20, 22), (14, 15))
    sharp = resize(example, (20, 22))
    for picture, rows in ((sharp, level.sharp), (resize(resize(sharp, (14, 15)), (20, 22)), level.blurred)):
        torch.testing.assert_close(rows, F.unfold(picture, PATCH)[0].T @ level.directions)
    assert not torch.allclose(level.sharp, level.blurred, atol=0.1)
    first = patch_matching._level(example, (20, 22), None)
    assert torch.equal(first.sharp, first.blurred)


def test_each_level_looks_at_the_blurred_example_first_and_then_at_the_sharp_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    painter = PatchPainter(landscape(), SIZES)
    looked: list[str] = []
    swap = PatchPainter._swap

    def noting(self: PatchPainter, x: Tensor, level: Any, keys: Tensor, match: Tensor | None) -> Any:
        which = "blurred" if keys is level.blurred else "sharp" if keys is level.sharp else "neither"
        looked.append(f"{which} of {level.size}")
        return swap(self, x, level, keys, match)

    monkeypatch.setattr(PatchPainter, "_swap", noting)
    painter.redraw(landscape(), SIZES)
    assert looked == [f"{which} of {size}" for size in SIZES for which in ("blurred", "sharp", "sharp")]


def test_the_coarsest_size_is_never_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[list[tuple[int, int]]] = []

    class Painter:
        def __init__(self, example: torch.Tensor, sizes: list[tuple[int, int]], padding: str) -> None:
            painted.append([tuple(size) for size in sizes])

        def redraw(self, drawn: torch.Tensor, sizes: list[tuple[int, int]]) -> torch.Tensor:
            return drawn

    monkeypatch.setattr(finishing, "PatchPainter", Painter)
    sizes = ((12, 16), (15, 20), (18, 24))
    for finished, start in ((64, 0), (1, 0), (64, 2)):
        pyramid = Pyramid(PyramidConfig(sizes=sizes, width=8, num_components=2, finished_stages=finished))
        finishing.finish(pyramid, torch.zeros(1, 3, 18, 24), start=start)
    assert painted == [[(15, 20), (18, 24)], [(18, 24)], [(18, 24)]]
