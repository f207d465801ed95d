"""Lightning is silent within the block only, however the block ends."""

import logging
import warnings

import pytest

from sase_gan.training.quiet import quiet_lightning


@pytest.mark.parametrize("name", ["lightning.pytorch", "lightning.fabric"])
def test_levels_return_after_an_error(name):
    logger = logging.getLogger(name)
    before = logger.level
    within = []

    def fail():
        with quiet_lightning():
            within.append(logger.level)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert within == [logging.ERROR]
    assert logger.level == before


def test_only_the_named_warnings_are_silent():
    with quiet_lightning():
        warnings.warn("the dataloader does not have many workers", stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
    with pytest.raises(UserWarning, match="many workers"):
        warnings.warn("the dataloader does not have many workers", stacklevel=1)
