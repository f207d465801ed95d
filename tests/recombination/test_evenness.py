"""The even prior, step by step: what is drawn, from which seeds, and how far the prior moves."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.recombination import evenness
from sase_gan.recombination.aligned import AlignedRecombiner
from sase_gan.recombination.schedules import Schedule
from sase_gan.seeds import generator
from tests.recombination.test_aligned import smooth_pictures


def moved(prior: list[float], use: list[float], step: float) -> list[float]:
    """Against the logarithm of the use, which counts as 0.4 where it is less; of mean 0."""
    raw = [one - step * math.log(max(0.4, used)) for one, used in zip(prior, use, strict=True)]
    return [one - sum(raw) / len(raw) for one in raw]


class Sketches:
    """A recombiner whose shares are written down beforehand; it notes the latents and priors that it is asked with."""

    prior = torch.zeros(1)

    def __init__(self, shares: list[list[float]]) -> None:
        self.examples = SimpleNamespace(count=len(shares[0]))
        self._shares, self.asked = iter(shares), list[tuple[Tensor, Tensor]]()

    def latent_shape(self) -> tuple[int, ...]:
        return (2, 3)

    def coarse_shares(self, z: Tensor, prior: Tensor) -> Tensor:
        self.asked.append((z, prior))
        return torch.tensor(next(self._shares))


def test_of_all_rounds_of_sketches_the_most_even_one_is_taken() -> None:
    shares = [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]]
    sketcher = Sketches(shares)
    found = evenness._by_sketches(sketcher, 3, 5)  # type: ignore[arg-type]
    priors = [[0.0, 0.0, 0.0]]
    for round_, share in enumerate(shares):
        priors.append(moved(priors[-1], [3 * one for one in share], 0.5 / (1 + round_ / 4)))
    assert len(sketcher.asked) == 4  # three rounds, and the start
    for round_, (z, prior) in enumerate(sketcher.asked):
        assert torch.equal(z, torch.randn(5, 2, 3, generator=generator(round_, "even prior")))
        assert prior.tolist() == pytest.approx(priors[round_], abs=1e-6)
    assert found.tolist() == pytest.approx(priors[2], abs=1e-6)


def test_sketches_are_of_half_the_size_with_windows_and_noise_to_match() -> None:
    schedule = Schedule(highest=30.0, turn=0.3, lowest=0.02, density=5.0, largest=14.0, smallest=6.0, variety=1.5)
    pictures = smooth_pictures(3, 64, 96)
    for mirror in (True, False):
        sketcher = evenness._sketched(AlignedRecombiner(pictures, mirror=mirror, schedule=schedule))
        assert sketcher.schedule == Schedule(15.0, 0.3, 0.3, 2.5, 7.0, 3.0, 1.5)
        assert sketcher.examples.mirrored.any() == mirror
        (level,) = sketcher.examples.levels
        # The coarsest level of 64 x 96 is 32 x 48; half of that, each pixel the mean of four.
        assert level.shape[1:3] == (16, 24)
        coarse = AlignedRecombiner(pictures).examples.levels[0][:3].float()
        means = coarse.view(3, 16, 2, 24, 2, 3).mean((2, 4))
        assert (level[:3].float() - means).abs().max() <= 0.5


def test_details_are_of_twice_the_coarsest_size_or_of_the_pictures_own() -> None:
    large, small = smooth_pictures(3, 128, 128), smooth_pictures(3, 32, 48)
    schedule = Schedule(largest=13.0)
    detailed = evenness._detailed(AlignedRecombiner(large, mirror=True, schedule=schedule, shortlist=2))
    assert [tuple(level.shape[1:3]) for level in detailed.examples.levels] == [(32, 32), (64, 64)]
    assert (detailed.schedule, detailed.shortlist) == (schedule, 2)
    assert detailed.examples.mirrored.any()
    detailed = evenness._detailed(AlignedRecombiner(small))
    assert [tuple(level.shape[1:3]) for level in detailed.examples.levels] == [(32, 48)]
    assert not detailed.examples.mirrored.any()


def test_drawings_move_the_prior_twice_from_seeds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shares, asked = [[0.7, 0.3], [0.45, 0.55]], list[tuple[Tensor, list[Tensor], Tensor]]()

    class Drawing:
        examples = SimpleNamespace(picture=torch.tensor([0, 1, 0, 1]))  # each picture, and its mirror image
        prior = torch.zeros(4)

        def latent_shape(self) -> tuple[int, ...]:
            return (2,)

        def noise_shapes(self) -> list[tuple[int, ...]]:
            return [(3,), (4, 5)]

        def draw(self, z: Tensor, noise: list[Tensor]) -> Any:
            asked.append((z, noise, self.prior))
            # Two pictures drawn, whose mean are the shares of the round.
            mean = torch.tensor(shares[len(asked) - 1])
            return SimpleNamespace(shares=torch.stack([mean + 0.1, mean - 0.1]))

    started: list[Any] = []
    monkeypatch.setattr(evenness, "_sketched", lambda recombiner: ("sketcher of", recombiner))
    monkeypatch.setattr(
        evenness, "_by_sketches", lambda *arguments: started.append(arguments) or torch.tensor([0.2, -0.2])
    )
    monkeypatch.setattr(evenness, "_detailed", lambda recombiner: Drawing())
    found = evenness.even_prior("recombiner", rounds=6, samples=7)  # type: ignore[arg-type]
    assert started == [(("sketcher of", "recombiner"), 6, 7)]
    first = moved([0.2, -0.2], [1.4, 0.6], 0.5)
    assert found.tolist() == pytest.approx(moved(first, [0.9, 1.1], 0.5), abs=1e-6)
    for round_, (z, noise, prior) in enumerate(asked):
        before = ([0.2, -0.2], first)[round_]
        assert prior.tolist() == pytest.approx([*before, *before], abs=1e-6)
        for level, (tensor, shape) in enumerate(zip((z, *noise), ((2,), (3,), (4, 5)), strict=True)):
            source = generator(round_, "even prior in detail", level)
            assert torch.equal(tensor, torch.randn(7, *shape, generator=source))


@pytest.mark.parametrize("shares", [[0.75, 0.25], [0.5, 0.25, 0.125, 0.125], [1.0, 0.0, 0.0], [0.2] * 5])
def test_the_entropy_is_a_share_of_the_most_that_it_can_be(shares: list[float]) -> None:
    expected = -sum(one * math.log2(one) for one in shares if one) / math.log2(len(shares))
    assert evenness.use_entropy(torch.tensor(shares)) == pytest.approx(expected, abs=1e-6)
