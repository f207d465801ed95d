"""Keeping Lightning from talking about what nobody here sets."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_BESIDE_THE_POINT = (
    ".*does not have many workers.*",
    ".*resume from a checkpoint that ended before.*",  # our loaders have no end
    ".*LeafSpec.*",
    ".*module\\(s\\) in eval mode.*",  # frozen statistics are meant so
    ".*GPU available but not used.*",
    ".*Checkpoint directory .* exists.*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips, and its warnings about what nobody here can set or what is meant so."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _LOGGERS)}
    try:
        for logger in levels:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for text in _BESIDE_THE_POINT:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
