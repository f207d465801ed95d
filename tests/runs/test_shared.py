"""Several processes of a run draw the pictures of its figures together, and agree: threads in their place."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.drawing.sampling import sample_images
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.runs import shared
from tests.processes import PATIENCE

CPU = torch.device("cpu")


class Meeting:
    """Threads that hand each other what they have, as gloo does for processes."""

    def __init__(self, size: int) -> None:
        self.size, self._all_here, self._given = size, threading.Barrier(size, timeout=PATIENCE), [None] * size

    def exchange(self, rank: int, mine: Any) -> list[Any]:
        self._given[rank] = mine
        self._all_here.wait()
        given = list(self._given)
        self._all_here.wait()
        return given

    def trainer(self, rank: int) -> Any:
        strategy = SimpleNamespace(
            all_gather=lambda tensor: torch.stack(self.exchange(rank, tensor)),
            broadcast=lambda value, src: self.exchange(rank, value)[src],
            reduce_boolean_decision=lambda value, all: any(self.exchange(rank, value)),
        )
        return SimpleNamespace(world_size=self.size, global_rank=rank, strategy=strategy)


def everywhere(size: int, ask: Any) -> list[Any]:
    meeting = Meeting(size)
    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(lambda rank: ask(meeting.trainer(rank), rank), range(size)))


@pytest.fixture(scope="module")
def network() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(image_size=64, width=4, latent_size=8)).eval()


@pytest.mark.parametrize(("size", "count"), [(2, 6), (2, 5), (3, 7), (4, 2)])
def test_together_they_draw_what_one_draws_in_its_order(
    size: int, count: int, network: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(1_000_000, 1_000_000 + count)
    expected, shares = sample_images(network, seeds, ground="white"), []

    def draw(network: Generator, seeds: Any, **options: Any) -> Tensor:
        shares.append(list(seeds))
        return sample_images(network, seeds, **options)

    monkeypatch.setattr(shared, "sample_images", draw)
    for drawn in everywhere(size, lambda trainer, rank: shared.sample_together(trainer, network, seeds, CPU)):
        assert drawn.dtype == torch.uint8
        assert len(drawn) == count
        assert (drawn.int() - expected.int()).abs().max() <= 1  # batches of another size, as `sample_images` says
    assert max(map(len, shares)) == -(-count // size)
    assert {seed for share in shares for seed in share} == set(seeds)


def test_one_process_draws_alone(network: Generator) -> None:
    alone: Any = SimpleNamespace(world_size=1)
    assert torch.equal(
        shared.sample_together(alone, network, [3, 4], CPU), sample_images(network, [3, 4], ground="white")
    )
    assert shared.any_of_all(alone, True)
    assert not shared.any_of_all(alone, False)
    assert shared.of_the_first(alone, True)
    assert not shared.of_the_first(alone, False)


def test_a_yes_of_any_is_a_yes_for_all_and_the_first_ones_answer_counts_for_all() -> None:
    assert everywhere(2, lambda trainer, rank: shared.any_of_all(trainer, rank == 1)) == [True, True]
    assert everywhere(2, lambda trainer, rank: shared.any_of_all(trainer, False)) == [False, False]
    assert everywhere(2, lambda trainer, rank: shared.of_the_first(trainer, rank == 0)) == [True, True]
    assert everywhere(2, lambda trainer, rank: shared.of_the_first(trainer, rank == 1)) == [False, False]
