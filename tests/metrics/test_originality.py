import math

import pytest
import torch
from torch import Tensor

from sase_gan.features.efficientnet_lite0 import cell_descriptor, efficientnet_lite0
from sase_gan.metrics import originality
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import centred_interval, resampled_counts, share_interval
from sase_gan.metrics.catalogue import SPACES
from sase_gan.metrics.extractors import SHIFTS, pixel_descriptor, shifted, thumbnails
from sase_gan.metrics.originality import CopyReference, check_copying, check_holdout
from sase_gan.metrics.reference import PictureSet, PreparedReference
from sase_gan.metrics.verdicts import CopyScores, HonestBaseline, copying_verdict, joint_verdict
from tests.metrics.conftest import blurred, compressed, each
from tests.metrics.conftest import shifted as moved


def plain_reference(rows: Tensor) -> CopyReference:
    """Without mirrors or shifts: every picture is its only variant."""
    return CopyReference(rows, rows[:, None], rows[:, None])


def test_scores_by_hand() -> None:
    # Reals at 0, 1, 3, 7: leave-one-out distances 1, 1, 2, 4; their median (lower of the middle two) is 1.
    reference = plain_reference(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    assert reference.own_nearest.tolist() == [1, 1, 2, 4]
    # 0.4: 0 at 0.4 <= 1: not authentic. 12: 7 at 5 > 4: authentic. 5.5: 7 at 1.5: not. -3: 3 > 1. 20: 13 > 4.
    result = check_copying(torch.tensor([[0.4], [12.0], [5.5], [-3.0], [20.0]]), reference)
    assert result.nearest.first.tolist() == [0, 3, 3, 0, 3]
    assert result.nearest.second.tolist() == [1, 2, 2, 1, 2]
    torch.testing.assert_close(result.nearest.distance, torch.tensor([0.4, 5, 1.5, 3, 13]).double())
    assert result.scores.authpct == 60
    assert result.scores.copy_share == 0.2  # the 5 % quantile is 1; only 0.4 is nearer
    assert result.scores.nn_ratio == pytest.approx(3)
    assert result.relative.argmin() == 2  # 1.5 of 4 is more suspicious than 0.4 of 1
    # As far from 7 as its own neighbour: no further, so not authentic.
    assert check_copying(torch.tensor([[11.0], [12.0]]), reference).scores.authpct == 50


def test_mirrored_matches_are_marked() -> None:
    rows, mirrored = torch.tensor([[0.0], [10.0]]), torch.tensor([[100.0], [200.0]])
    reference = CopyReference(rows, rows[:, None], mirrored[:, None])
    nearest = reference.nearest(torch.tensor([[1.0], [199.0]]))
    assert nearest.first.tolist() == [0, 1]
    assert nearest.mirrored.tolist() == [False, True]


def test_own_mirror_image_is_no_neighbour() -> None:
    rows = torch.tensor([[0.0], [10.0], [30.0]])
    reference = CopyReference(rows, rows[:, None], rows[:, None] + 0.01)
    assert reference.own_nearest.min() > 9


def test_mirror_images_of_others_are_neighbours() -> None:
    rows, mirrored = torch.tensor([[0.0], [10.0], [30.0]]), torch.tensor([[0.0], [29.0], [30.0]])
    assert CopyReference(rows, rows[:, None], mirrored[:, None]).own_nearest.tolist() == [10, 10, 1]


def test_blocks_do_not_change_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, fakes = torch.randn(40, 5), torch.randn(30, 5)
    whole = plain_reference(rows).nearest(fakes)
    monkeypatch.setattr(originality, "_BLOCK_DISTANCES", 3 * 40 * 2)  # three fakes a block
    torch.testing.assert_close(plain_reference(rows).nearest(fakes).distance, whole.distance)


def test_intervals_hold_their_values() -> None:
    reference = plain_reference(torch.randn(60, 8))
    result = check_copying(torch.randn(200, 8), reference)
    for figure, interval in result.intervals.items():
        assert interval.low <= getattr(result.scores, figure) <= interval.high, figure
        assert interval.high > interval.low


HONEST = HonestBaseline(CopyScores(0.08, 1.0, 70.0), CopyScores(0.05, 0.02, 8.0))


@pytest.mark.parametrize(
    ("scores", "colour", "rule"),
    [
        (CopyScores(0.1, 1.0, 65), "green", "no rule"),
        (CopyScores(0.5, 1.0, 65), "red", "copy_share >= 0.5"),
        (CopyScores(0.1, 1.0, 9), "red", "authpct < 10"),
        (CopyScores(0.1, 0.79, 65), "red", r"nn_ratio < 0\.80"),
        (CopyScores(0.24, 1.0, 65), "amber", "copy_share > 0.230"),
        (CopyScores(0.1, 0.93, 65), "amber", r"nn_ratio < 0\.940"),
    ],
)
def test_verdict_rules(scores: CopyScores, colour: str, rule: str) -> None:
    import re

    verdict = copying_verdict(scores, HONEST, 100, 100)
    assert verdict.colour == colour
    assert re.search(rule, verdict.rule)


def test_wide_honest_spread_moves_the_red_limit() -> None:
    wide = HonestBaseline(HONEST.mean, CopyScores(0.05, 0.13, 8.0))
    assert copying_verdict(CopyScores(0.1, 0.7, 65), wide, 100, 100).colour == "green"
    assert copying_verdict(CopyScores(0.1, 0.4, 65), wide, 100, 100).colour == "red"


def test_no_verdict_on_few_pictures() -> None:
    assert copying_verdict(CopyScores(1, 0, 0), None, 9, 100).colour == "grey"
    assert copying_verdict(CopyScores(1, 0, 0), HONEST, 100, 19).colour == "grey"
    assert plain_reference(torch.randn(9, 3)).honest is None
    with pytest.raises(NotApplicable, match="two training pictures"):
        check_copying(torch.randn(5, 3), plain_reference(torch.randn(1, 3)))


def test_honest_baseline_of_independent_rows() -> None:
    honest = plain_reference(torch.randn(100, 16)).honest
    assert honest is not None
    assert honest.mean.nn_ratio == pytest.approx(1, abs=0.05)
    assert honest.mean.copy_share == pytest.approx(0.06, abs=0.04)


def test_holdout_comparison() -> None:
    reference = plain_reference(torch.randn(80, 8))
    held = torch.randn(30, 8)
    honest = check_holdout(reference.nearest(torch.randn(300, 8)).distance, held, reference)
    assert honest.interval is not None
    assert honest.interval.low < 0.5 < honest.interval.high
    copies = check_holdout(reference.nearest(reference.plain + 0.01).distance, held, reference)
    assert copies.nearer_share == 1.0
    assert copies.nn_ratio < 0.1


def test_shifts_of_maps_stand_for_shifts_of_pictures() -> None:
    images = torch.nn.functional.interpolate(torch.rand(2, 3, 12, 12), size=224, mode="bicubic").clamp(0, 1)
    images = (images * 255).to(torch.uint8)
    network = efficientnet_lite0()
    with torch.inference_mode():
        here, there = (network.describe(x, ["mid_map"])["mid_map"] for x in (images, moved(images, 0, 8)))
        variants, right = shifted(here, cell_descriptor), cell_descriptor(there)  # moved by one cell of the 28 x 28 map
    assert variants.shape == (2, len(SHIFTS), 1960)
    distances = (variants - right[:, None]).norm(dim=2)
    assert [SHIFTS[index] for index in distances.argmin(1)] == [(0, -1), (0, -1)]
    assert (distances.min(1).values < 0.6 * distances[:, 0]).all()


def test_first_variant_is_the_picture_itself() -> None:
    small = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(shifted(small, pixel_descriptor)[:, 0], pixel_descriptor(small))


def test_pixel_descriptor_ignores_brightness_and_contrast() -> None:
    images = torch.randint(40, 200, (2, 3, 64, 64), dtype=torch.uint8)
    changed = (images.float() * 0.5 + 30).to(torch.uint8)
    a, b = (pixel_descriptor(thumbnails(x)) for x in (images, changed))
    assert (a - b).norm(dim=1).max() < 0.05
    torch.testing.assert_close(a.norm(dim=1), torch.ones(2), atol=1e-3, rtol=0)
    assert pixel_descriptor(thumbnails(torch.full_like(images, 90))).abs().max() < 1e-6


def colour_of(fakes: Tensor, reference: PreparedReference) -> str:
    results = {}
    for space in SPACES:
        extractor, layer = ("efflite0", "mid") if space == "mid" else ("pixels32", "pixels")
        pictures = PictureSet(fakes)
        rows = reference.store.features(
            pictures.images, pictures.digest, reference.extractor(extractor), [layer], keep=False
        )[layer]
        results[space] = check_copying(rows, reference.copying(space), space=space, draws=2)
    return joint_verdict([result.verdict for result in results.values()]).colour


CHANGES = {
    "exact": lambda x: x,
    "mirrored": lambda x: x.flip(-1),
    "shifted": lambda x: moved(x, 0, 8),
    "mirrored and shifted": lambda x: moved(x.flip(-1), 6, 3),
    "compressed": lambda x: each(x, compressed),
    "blurred": lambda x: each(x, blurred),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_drawn_faces_are_red(change: str, faces: Tensor, face_reference: PreparedReference) -> None:
    assert colour_of(CHANGES[change](faces[:20]), face_reference) == "red"


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_pandas_are_red(change: str, pandas: Tensor, panda_reference: PreparedReference) -> None:
    assert colour_of(CHANGES[change](pandas[:20]), panda_reference) == "red"


def test_held_out_halves_are_green(pandas: Tensor, faces: Tensor) -> None:
    for images in (pandas, faces):
        assert colour_of(images[::2], PreparedReference(images[1::2])) == "green"


def test_part_of_a_reference_is_the_reference_of_that_part() -> None:
    rows = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    part, own = plain_reference(rows).part(torch.arange(3, 33)), plain_reference(rows[3:33])
    torch.testing.assert_close(part.own_nearest, own.own_nearest)
    scores, verdict = plain_reference(rows).judge_held_out(torch.arange(20), torch.arange(20, 40), "mid")
    direct = check_copying(rows[:20], plain_reference(rows[20:]), draws=2)
    assert scores.copy_share == direct.scores.copy_share
    assert scores.nn_ratio == pytest.approx(direct.scores.nn_ratio)
    assert verdict.colour == direct.verdict.colour


def test_shifts_come_before_mirror_images() -> None:
    plain = torch.tensor([[0.0], [50.0]])
    variants = torch.tensor([[[0.0], [1.0], [2.0]], [[50.0], [51.0], [52.0]]])
    reference = CopyReference(plain, variants, variants + 10)
    nearest = reference.nearest(torch.tensor([[2.2], [10.1], [51.0], [62.0]]))
    assert nearest.mirrored.tolist() == [False, True, False, True]
    torch.testing.assert_close(nearest.distance, torch.tensor([0.2, 0.1, 0.0, 0.0]).double(), atol=1e-6, rtol=0)


def test_intervals_are_those_of_real_resampling() -> None:
    reference = plain_reference(torch.randn(15, 2))
    fakes = 0.6 * torch.randn(7, 2)
    result = check_copying(fakes, reference, draws=60)
    assert 0 < result.scores.copy_share < 1
    assert 0 < result.scores.authpct < 100
    found: list[CopyScores] = []
    for counts in resampled_counts(7, 60).long():
        found.append(check_copying(fakes.repeat_interleave(counts, 0), reference, draws=2).scores)
    bounds = {"copy_share": (0.0, 1.0), "nn_ratio": (0.0, math.inf), "authpct": (0.0, 100.0)}
    assert result.intervals.keys() == bounds.keys()
    for name, (lowest, highest) in bounds.items():
        values = torch.tensor([getattr(scores, name) for scores in found]).double()
        value = getattr(result.scores, name)
        expected = centred_interval(value, values, "x", lowest=lowest, highest=highest)
        interval = result.intervals[name]
        assert (interval.low, interval.high) == (pytest.approx(expected.low), pytest.approx(expected.high)), name
        assert interval.description == "95 %, bootstrap over fakes, 60 draws"


def test_shares_of_none_or_all_have_wilsons_interval() -> None:
    reference = plain_reference(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    for place, share, authentic in ((100.0, 0, 100), (3.001, 1, 0)):
        found = check_copying(torch.tensor([[place]]).repeat(60, 1), reference).intervals
        expected = share_interval(60 * share, 60, "fakes")
        assert found["copy_share"] == expected
        of_authentic = share_interval(60 * authentic // 100, 60, "fakes")
        assert found["authpct"].low == pytest.approx(100 * of_authentic.low)
        assert found["authpct"].high == pytest.approx(100 * of_authentic.high)
        assert found["authpct"].description == "95 %, Wilson score of 60 fakes"
    assert check_copying(torch.tensor([[0.4]]), reference).intervals == {}


def test_comparison_with_held_out_pictures_by_hand() -> None:
    reference = plain_reference(torch.tensor([[0.0], [10.0]]))
    distance = torch.tensor([1.0, 2.0, 4.0]).double()
    held_out = torch.tensor([[2.0], [13.0]])  # at 2 and 3
    found = check_holdout(distance, held_out, reference, draws=40)
    assert found.nearer_share == pytest.approx((1 + 1 + 0.5 + 1) / 6)
    assert found.nn_ratio == 1  # 2 over 2, the lower of the middle two
    assert found.n == 2
    wins = torch.tensor([[1.0, 1.0], [0.5, 1.0], [0.0, 0.0]]).double()
    ours, theirs = resampled_counts(3, 40, seed=1) / 3, resampled_counts(2, 40, seed=2) / 2
    expected = centred_interval(found.nearer_share, ((ours @ wins) * theirs).sum(1), "x", lowest=0.0, highest=1.0)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (expected.low, expected.high)
    assert found.interval.description == "95 %, bootstrap over fakes and held-out pictures, 40 draws"
    assert check_holdout(distance, held_out[:1], reference).interval is None
    assert check_holdout(distance[:1], held_out, reference).interval is None
