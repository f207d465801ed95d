"""Keeping Lightning from talking about what nobody here sets."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_WARNINGS = (
    ".*does not have many workers.*",
    ".*resume from a checkpoint that ended before.*",
    # Frozen statistics are in evaluation mode on purpose.
    r".*module\(s\) in eval mode.*",
    ".*GPU available but not used.*",
    ".*Checkpoint directory .* exists.*",
    ".*LeafSpec.*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips within the block, and its warnings about workers, devices and checkpoints."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in _WARNINGS:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
