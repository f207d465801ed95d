import hashlib

import numpy as np
import pytest
import torch

from sase_gan.seeds import derive_seed, generator


def test_seed_is_the_first_63_bits_of_the_documented_hash():
    text = b"i0;s7:shuffle;i3"
    assert derive_seed(0, "shuffle", 3) == int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def test_order_type_and_borders_of_the_parts_matter():
    keys = [(1, 23), (12, 3), (23, 1), ("1", 23), ("1;i23",), (123,), ("a", "b"), ("ab",), ("b", "a"), ()]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_seeds_fit_into_63_bits_and_look_random():
    seeds = [derive_seed(0, "x", index) for index in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    ones = sum(bin(seed).count("1") for seed in seeds) / (2000 * 63)
    # Standard error of the share of ones: 0.5 / sqrt(126000) = 0.0014.
    assert abs(ones - 0.5) < 0.006


def test_numpy_integers_count_as_integers_and_floats_are_refused():
    assert derive_seed(np.int32(7)) == derive_seed(7)
    with pytest.raises(TypeError):
        derive_seed(7.0)


def test_generators_of_equal_parts_draw_the_same_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    first = torch.randn(5, generator=generator(3, "latent"))
    assert torch.equal(first, torch.randn(5, generator=generator(3, "latent")))
    assert not torch.equal(first, torch.randn(5, generator=generator(4, "latent")))
    assert torch.equal(before, torch.get_rng_state())
