"""The tests run with the annotated shapes of the layers checked: `tests/shape_checks.py`."""

import jaxtyping
import pytest
import torch

from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.primitives import NoiseInjection


def test_a_wrong_number_of_dimensions_is_noticed() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="batch channels height width"):
        AttentiveNorm(4, 2).eval()(torch.zeros(4, 5, 5))


def test_sides_that_do_not_fit_together_are_noticed() -> None:
    # The noise would be broadcast over the height without a word.
    with pytest.raises(jaxtyping.TypeCheckError, match="noise"):
        NoiseInjection()(torch.zeros(2, 3, 4, 5), torch.zeros(2, 1, 1, 5))


def test_a_wrong_type_of_number_is_noticed() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="Float"):
        NoiseInjection()(torch.zeros(2, 3, 4, 5, dtype=torch.int64), None)


def test_fitting_shapes_pass() -> None:
    assert NoiseInjection()(torch.zeros(2, 3, 4, 5), torch.zeros(2, 1, 4, 5)).shape == (2, 3, 4, 5)
