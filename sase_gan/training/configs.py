"""The kinds of training runs by name; apart from the modules that train, whose import of Lightning takes seconds."""

from sase_gan.training.low_shot_config import LowShotConfig
from sase_gan.training.one_shot_config import OneShotConfig

RunConfig = LowShotConfig | OneShotConfig
CONFIGS: dict[str, type[RunConfig]] = {"low_shot": LowShotConfig, "one_shot": OneShotConfig}
"""By the word that a configuration's `task` holds."""
