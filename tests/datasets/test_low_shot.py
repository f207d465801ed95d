import collections
import itertools

import pytest
import torch
from torch.utils.data import DataLoader

from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.errors import UsageError
from sase_gan.seeds import generator


@pytest.fixture
def pictures():
    """Seven pictures; pixel [0, 0, 0] names the picture, and the last column differs from the first."""
    images = torch.zeros(7, 3, 4, 4, dtype=torch.uint8)
    images[:, :, :, 0] = torch.arange(7, dtype=torch.uint8)[:, None, None] + 10
    images[:, :, :, 3] = 200
    return images


def take(batches, count):
    return list(itertools.islice(iter(batches), count))


def seen(batch):
    """(picture, mirrored) of each entry, read from the pixels."""
    first, last = batch[:, 0, 0, 0].tolist(), batch[:, 0, 0, 3].tolist()
    return [(b - 10, True) if a == 200 else (a - 10, False) for a, b in zip(first, last, strict=True)]


def slow_reference(count, position, seed):
    epoch = position // count
    order = torch.randperm(count, generator=generator(seed, "shuffle", epoch)).tolist()
    coins = torch.randint(2, (count,), generator=generator(seed, "mirror", epoch)).tolist()
    return order[position % count], bool(coins[position % count])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
@pytest.mark.parametrize("start", [0, 5, 700])
def test_every_position_shows_the_documented_picture_and_coin(pictures, batch_size, start):
    batches = take(EndlessBatches(pictures, batch_size=batch_size, seed=3, images_seen=start), 4)
    found = [entry for batch in batches for entry in seen(batch)]
    assert found == [slow_reference(7, start + index, 3) for index in range(4 * batch_size)]


def test_batches_are_whole_uint8_pictures(pictures):
    batch = next(iter(EndlessBatches(pictures, batch_size=5, seed=0)))
    assert batch.shape == (5, 3, 4, 4)
    assert batch.dtype == torch.uint8
    for entry, (index, mirrored) in zip(batch, seen(batch), strict=True):
        assert torch.equal(entry, pictures[index].flip(2) if mirrored else pictures[index])


@pytest.mark.parametrize("batch_size", [2, 20])
def test_starting_later_equals_continuing(pictures, batch_size):
    whole = take(EndlessBatches(pictures, batch_size=batch_size, seed=1), 12)
    rest = take(EndlessBatches(pictures, batch_size=batch_size, seed=1, images_seen=5 * batch_size), 7)
    assert all(torch.equal(a, b) for a, b in zip(whole[5:], rest, strict=True))


def test_changing_images_seen_moves_the_next_iterator(pictures):
    batches = EndlessBatches(pictures, batch_size=3, seed=1)
    fourth = take(batches, 4)[3]
    batches.images_seen = 9
    assert torch.equal(next(iter(batches)), fourth)


def test_each_epoch_shows_every_picture_once_in_a_new_order(pictures):
    found = [index for batch in take(EndlessBatches(pictures, batch_size=7, seed=0), 20) for index, _ in seen(batch)]
    epochs = [tuple(found[start : start + 7]) for start in range(0, 140, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) > 15


def test_coins_are_fair_and_independent_of_the_picture(pictures):
    found = [entry for batch in take(EndlessBatches(pictures, batch_size=70, seed=0), 100) for entry in seen(batch)]
    mirrored = collections.Counter(index for index, turned in found if turned)
    # 1000 coins a picture: standard deviation 16.
    assert all(420 < mirrored[index] < 580 for index in range(7))


def test_without_mirroring_the_order_stays(pictures):
    plain = take(EndlessBatches(pictures, batch_size=4, seed=2, mirror=False), 6)
    turned = take(EndlessBatches(pictures, batch_size=4, seed=2), 6)
    assert all(not mirrored for batch in plain for _, mirrored in seen(batch))
    assert [i for b in plain for i, _ in seen(b)] == [i for b in turned for i, _ in seen(b)]


def test_other_seeds_give_other_batches(pictures):
    first, second = (take(EndlessBatches(pictures, batch_size=8, seed=seed), 3) for seed in (0, 1))
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_together_see_what_one_rank_with_the_whole_batch_sees(pictures, world_size):
    parts = [
        take(EndlessBatches(pictures, batch_size=4, seed=5, images_seen=6, rank=rank, world_size=world_size), 5)
        for rank in range(world_size)
    ]
    whole = take(EndlessBatches(pictures, batch_size=4 * world_size, seed=5, images_seen=6), 5)
    for step in range(5):
        assert torch.equal(torch.cat([part[step] for part in parts]), whole[step])


def test_one_picture_fills_a_batch():
    picture = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    batch = next(iter(EndlessBatches(picture, batch_size=6, seed=0)))
    assert all(torch.equal(entry, picture[0]) or torch.equal(entry, picture[0].flip(2)) for entry in batch)


def test_the_pictures_are_never_changed(pictures):
    before = pictures.clone()
    for batch in take(EndlessBatches(pictures, batch_size=7, seed=0, mirror=False), 3):
        batch.zero_()
    assert torch.equal(pictures, before)


# A machine with fewer cores than workers warns of that; the batches are the same.
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_loader_workers_do_not_change_the_batches(pictures, workers):
    batches = EndlessBatches(pictures, batch_size=3, seed=4, images_seen=30)
    loader = DataLoader(batches, batch_size=None, num_workers=workers)
    loaded = list(itertools.islice(loader, 7))
    assert all(torch.equal(a, b) for a, b in zip(loaded, take(batches, 7), strict=True))


def test_the_global_random_state_is_not_used(pictures):
    before = torch.get_rng_state()
    first = take(EndlessBatches(pictures, batch_size=3, seed=4), 3)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert all(
        torch.equal(a, b) for a, b in zip(first, take(EndlessBatches(pictures, batch_size=3, seed=4), 3), strict=True)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(2, 3, 4, 4)}, "uint8"),
        ({"images": torch.zeros(0, 3, 4, 4, dtype=torch.uint8)}, "N >= 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"images_seen": -1}, "images_seen is -1"),
        ({"rank": 2, "world_size": 2}, "rank is 2 of 2"),
    ],
)
def test_impossible_arguments_are_refused(pictures, change, message):
    with pytest.raises(UsageError, match=message):
        EndlessBatches(**{"images": pictures, "batch_size": 2, "seed": 0, **change})
