import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from sase_gan.metrics import fidelity
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.bootstrap import centred_interval, resampled_counts


class TinyExtractor(FeatureExtractorBase):
    """A fixed random projection of 8 x 8 pictures: the library's own code runs without a download."""

    def __init__(self, name: str, features_list: list[str], **kwargs: Any) -> None:
        super().__init__(name, features_list)
        self.matrix = torch.randn(192, 16, generator=torch.Generator().manual_seed(3)) / 14

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (torch.tanh((x.float() / 127.5 - 1).flatten(1) @ self.matrix),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("tiny",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "tiny"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)


class Pictures(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.images)


def test_wrapper_equals_the_library_on_the_same_pictures() -> None:
    if "tiny-for-tests" not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor("tiny-for-tests", TinyExtractor)
    fakes = torch.randint(0, 200, (60, 3, 8, 8), dtype=torch.uint8)
    reals = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    theirs = calculate_metrics(
        input1=Pictures(fakes),
        input2=Pictures(reals),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="tiny-for-tests",
        kid_subset_size=40,
        isc_splits=1,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
        batch_size=16,
    )
    extractor = TinyExtractor("tiny-for-tests", ["tiny"])
    a, b = extractor(fakes)[0], extractor(reals)[0]
    assert fidelity.frechet_distance(a, b) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    kernel = fidelity.kernel_distance(a, b)
    assert kernel.subset_size == 40
    assert kernel.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    assert kernel.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-4)
    assert fidelity.precision_recall(a, b) == pytest.approx((theirs["precision"], theirs["recall"]))
    assert fidelity.inception_score(a)[0] == pytest.approx(theirs["inception_score_mean"], rel=1e-6)


def test_frechet_distance_of_gaussians_is_analytic() -> None:
    # Rows with exactly these moments: |m1 - m2|^2 + sum of (s1 - s2)^2 for diagonal covariances.
    base = torch.randn(500, 6, dtype=torch.float64)
    base = base - base.mean(0)
    white = base @ torch.linalg.inv(torch.linalg.cholesky(base.T @ base / 499)).T
    s1, s2 = torch.tensor([1.0, 2, 3, 1, 1, 0.5]).double(), torch.tensor([2.0, 2, 1, 4, 1, 0.1]).double()
    shift = torch.tensor([1.0, 0, 2, 0, 0, 0]).double()
    expected = (shift.square().sum() + (s1 - s2).square().sum()).item()
    a, b = white * s1 + shift, white * s2
    assert fidelity.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert fidelity.frechet_distance_gram(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "width"), [(40, 30, 64), (100, 20, 32), (50, 50, 200)])
def test_gram_form_equals_the_library(n: int, m: int, width: int) -> None:
    a, b = torch.randn(n, width) * 1.5 + 0.3, torch.randn(m, width).abs()
    assert fidelity.frechet_distance_gram(a, b) == pytest.approx(fidelity.frechet_distance(a, b), rel=1e-5)


def test_equal_sets_are_at_distance_zero() -> None:
    rows = torch.randn(50, 32)
    assert fidelity.frechet_distance(rows, rows) == pytest.approx(0, abs=1e-3)
    assert fidelity.frechet_distance_gram(rows, rows) == pytest.approx(0, abs=1e-8)
    # The unbiased estimate leaves out what a picture has in common with itself, so copies come out a little below zero.
    kernel = fidelity.polynomial_kernel(rows, rows)
    own, others = kernel.diagonal().mean(), (kernel.sum() - kernel.diagonal().sum()) / (50 * 49)
    assert fidelity.kernel_distance(rows, rows).mean == pytest.approx(-2 / 50 * (own - others).item())
    assert fidelity.precision_recall(rows, rows) == (1.0, 1.0)


def test_kernel_distance_is_unbiased() -> None:
    values = [fidelity.kernel_distance_all(torch.randn(40, 8), torch.randn(30, 8)) for _ in range(300)]
    mean, error = sum(values) / 300, torch.tensor(values).std().item() / math.sqrt(300)
    assert abs(mean) < 4 * error


def test_kernel_distance_by_loops() -> None:
    a, b = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)

    def k(x: Tensor, y: Tensor) -> float:
        return ((x @ y).item() / 3 + 1) ** 3

    own = sum(k(a[i], a[j]) for i in range(5) for j in range(5) if i != j) / 20
    theirs = sum(k(b[i], b[j]) for i in range(4) for j in range(4) if i != j) / 12
    across = sum(k(x, y) for x in a for y in b) / 20
    expected = own + theirs - 2 * across
    assert fidelity.kernel_distance_all(a, b) == pytest.approx(expected)
    assert fidelity.kernel_distance(a, b, subset_size=4, subsets=400).mean == pytest.approx(expected, abs=0.5)


def test_figures_do_not_depend_on_the_order_beyond_chance_of_subsets() -> None:
    a, b = torch.randn(80, 16), torch.randn(40, 16) + 0.5
    order = torch.randperm(80)
    for figure in (fidelity.frechet_distance, fidelity.frechet_distance_gram, fidelity.kernel_distance_all):
        assert figure(a[order], b) == pytest.approx(figure(a, b), rel=1e-6)
    assert fidelity.precision_recall(a[order], b) == pytest.approx(fidelity.precision_recall(a, b))


@pytest.mark.parametrize("shape", [(60, 25), (25, 60)])
def test_error_bar_of_the_frechet_distance_is_that_of_real_resampling(shape: tuple[int, int]) -> None:
    a, b = torch.randn(shape[0], 40) * 1.3, torch.randn(shape[1], 40)
    value = fidelity.frechet_distance_gram(a, b)
    interval = fidelity.frechet_interval(value, a, b, 100)
    assert interval is not None
    counts = fidelity.resampled_counts(shape[0], 100).long()
    slow = torch.tensor(
        [fidelity.frechet_distance_gram(a.repeat_interleave(row, 0), b) for row in counts], dtype=torch.float64
    )
    deviations = slow - slow.mean()
    low, high = torch.quantile(deviations, torch.tensor([0.025, 0.975]).double()).tolist()
    assert interval.low == pytest.approx(value + low, rel=1e-6)
    assert interval.high == pytest.approx(value + high, rel=1e-6)


def test_kernel_interval_holds_the_value_and_shrinks_with_pictures() -> None:
    b = torch.randn(50, 16)
    few, many = (fidelity.kernel_interval(0.0, torch.randn(n, 16), b, 200) for n in (50, 800))
    assert few is not None
    assert many is not None
    assert many.high - many.low < few.high - few.low
    assert few.low < 0 < few.high


def test_score_of_certain_and_varied_pictures_is_the_number_of_kinds() -> None:
    logits = 50 * torch.eye(8).repeat(5, 1)
    assert fidelity.inception_score(logits)[0] == pytest.approx(8, rel=1e-6)
    assert fidelity.inception_score(torch.zeros(20, 8))[0] == pytest.approx(1, rel=1e-9)
    interval = fidelity.inception_score_interval(8.0, logits, 100)
    assert interval is not None
    assert interval.low < 8


def test_memorisation_factor() -> None:
    reals = torch.eye(4)
    assert fidelity.memorisation_penalty(torch.full((3, 4), 0.5), reals) == 1.0  # cosine 0.5: distance 0.5
    near = torch.nn.functional.normalize(reals + 0.05, dim=1)
    assert fidelity.memorisation_penalty(near, reals) > 10
    with pytest.raises(NotApplicable, match="they are copies"):
        fidelity.memorisation_penalty(reals, reals)


def test_halves_are_disjoint_and_equal() -> None:
    for a, b in fidelity.reference_halves(11, 5):
        assert len(a) == len(b) == 5
        assert not set(a.tolist()) & set(b.tolist())


def test_too_few_pictures_are_told() -> None:
    one, many = torch.randn(1, 4), torch.randn(10, 4)
    with pytest.raises(NotApplicable, match="At least 2 pictures"):
        fidelity.frechet_distance(one, many)
    with pytest.raises(NotApplicable, match="At least 4 pictures"):
        fidelity.precision_recall(many[:3], many)
    with pytest.raises(ValueError, match="subset of 20"):
        fidelity.kernel_distance(many, many, subset_size=20)


def test_density_and_coverage_by_hand() -> None:
    # Reals on a line at 0, 1, 2, 10; with k = 1 their balls have the radii 1, 1, 1, 8.
    reals = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    fakes = torch.tensor([[0.5], [3.0], [30.0]])
    found = fidelity.density_coverage(fakes, reals, k=1)
    # 0.5 lies in the balls of 0 and 1; 3.0 in those of 2 and 10; 30 in none.
    assert found.per_fake.tolist() == [2, 2, 0]
    assert found.density == pytest.approx(4 / 3)
    assert found.coverage == 1.0
    assert fidelity.density_coverage(fakes[:1], reals, k=1).per_real.tolist() == [1, 1, 0, 0]


def test_equal_distributions_have_density_and_coverage_near_one() -> None:
    found = fidelity.density_coverage(torch.randn(2000, 8), torch.randn(500, 8))
    assert found.density == pytest.approx(1, abs=0.1)
    assert found.coverage > 0.95


def test_dropped_modes_lower_coverage_but_not_density() -> None:
    reals = torch.randn(400, 8)
    reals[200:] += 20
    found = fidelity.density_coverage(torch.randn(1000, 8), reals)
    assert found.coverage == pytest.approx(0.5, abs=0.03)
    assert found.density > 0.8


def test_copies_distance_and_equality_in_the_nearest_neighbour_test() -> None:
    reals = torch.randn(60, 8)
    assert fidelity.nearest_neighbour_accuracy(reals.clone(), reals).tolist() == [0.0]
    assert fidelity.nearest_neighbour_accuracy(reals + 100, reals).tolist() == [1.0]
    honest = fidelity.nearest_neighbour_accuracy(torch.randn(600, 8), torch.randn(150, 8))
    assert len(honest) == 20
    assert honest.mean().item() == pytest.approx(0.5, abs=0.08)


def test_nearest_neighbour_test_by_hand() -> None:
    fakes, reals = torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [5.5]])
    # All four nearest neighbours are of the other kind.
    assert fidelity.nearest_neighbour_accuracy(fakes, reals).item() == 0.0
    # Here only 0.25 is mistaken; with a real at 0.2 the fake at 0.1 lies in the middle and counts half.
    fakes = torch.tensor([[0.0], [0.1]], dtype=torch.float64)
    assert fidelity.nearest_neighbour_accuracy(fakes, torch.tensor([[0.25], [9.0]])).item() == 0.75
    assert fidelity.nearest_neighbour_accuracy(fakes, torch.tensor([[0.2], [9.0]], dtype=torch.float64)).item() == 0.625


def test_too_few_pictures_for_neighbours_are_told() -> None:
    with pytest.raises(NotApplicable, match="more than 6 real pictures"):
        fidelity.density_coverage(torch.randn(5, 2), torch.randn(6, 2))
    with pytest.raises(NotApplicable, match="two pictures on each side"):
        fidelity.nearest_neighbour_accuracy(torch.randn(1, 2), torch.randn(6, 2))


def test_expected_coverage_is_that_of_equal_distributions() -> None:
    random = torch.Generator().manual_seed(0)
    found = []
    for _ in range(60):
        rows = torch.randn(90, 4, generator=random)
        found.append(fidelity.density_coverage(rows[:30], rows[30:], k=5).coverage)
    # The deviation of the mean of 60 draws is about 0.008.
    assert sum(found) / 60 == pytest.approx(fidelity.expected_coverage(30, 60, k=5), abs=0.03)
    assert fidelity.expected_coverage(1, 2, k=1) == 0.5


def test_subsets_have_as_many_pictures_as_the_smaller_set_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes, reals = torch.randn(9, 4), torch.randn(12, 4)
    assert fidelity.kernel_distance(fakes, reals, subsets=2).subset_size == 9
    monkeypatch.setattr(fidelity, "KID_LARGEST_SUBSET", 5)
    assert fidelity.kernel_distance(fakes, reals, subsets=2).subset_size == 5
    assert fidelity.kernel_distance(fakes, reals, subsets=2, subset_size=9).subset_size == 9


def test_precision_and_recall_are_shares_inside_balls() -> None:
    fakes, reals = torch.randn(30, 3), torch.randn(40, 3) + 0.5
    for k in (2, 3):
        precision = fidelity.inside_balls(fakes, reals, k).any(1).double().mean().item()
        recall = fidelity.inside_balls(reals, fakes, k).any(1).double().mean().item()
        assert fidelity.precision_recall(fakes, reals, k) == (pytest.approx(precision), pytest.approx(recall))
        assert 0 < precision < 1


def test_unequal_numbers_are_chosen_from_each_side_and_always_alike() -> None:
    fakes, reals = torch.randn(3, 2), torch.randn(8, 2) + 100
    assert fidelity.nearest_neighbour_accuracy(fakes, reals, draws=20).tolist() == [1.0] * 20
    assert fidelity.nearest_neighbour_accuracy(reals, fakes, draws=20).tolist() == [1.0] * 20
    near, far = torch.randn(5, 2), torch.randn(9, 2) + 0.5
    torch.manual_seed(1)
    found = fidelity.nearest_neighbour_accuracy(near, far, draws=8)
    torch.manual_seed(2)
    assert torch.equal(fidelity.nearest_neighbour_accuracy(near, far, draws=8), found)
    assert found.unique().numel() > 2


def test_interval_of_the_score_is_that_of_real_resampling() -> None:
    logits = 3 * torch.randn(12, 4).double()
    p, scores = logits.softmax(1), []
    for counts in resampled_counts(12, 40).long():
        rows = p.repeat_interleave(counts, 0)
        scores.append((rows * (rows / rows.mean(0)).log()).sum(1).mean().exp())
    expected = centred_interval(2.0, torch.stack(scores), "x", lowest=1.0)
    found = fidelity.inception_score_interval(2.0, logits, 40)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert found.description == "95 %, bootstrap over fakes, 40 draws"
    assert fidelity.inception_score_interval(1.0, logits, 40).low == 1
    assert fidelity.inception_score_interval(2.0, logits[:1], 40) is None
    assert fidelity.inception_score_interval(2.0, logits, 1) is None


def test_a_feature_network_comes_from_the_file_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch_fidelity.utils

    asked: list[object] = []

    def create(*names: object, **more: object) -> str:
        asked.extend([names, more])
        return "network"

    monkeypatch.setattr(torch_fidelity.utils, "create_feature_extractor", create)
    assert fidelity.library_extractor("vgg16", ["fc2_relu"], "/weights") == "network"
    settings = {"feature_extractor_weights_path": "/weights", "cuda": False, "save_cpu_ram": False, "verbose": False}
    assert asked == [("vgg16", ["fc2_relu"]), settings]
