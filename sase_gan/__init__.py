"""Train an image generator from very few pictures, and see honestly how good and how original it is.

Three lines in a notebook:

    import sase_gan
    run = sase_gan.train("my_pictures")
    sase_gan.sample(run, seeds=range(16))

The public names are loaded when they are first used, so that importing the package costs nothing. It also lets threads
that wait sleep (`processors`), which works if torch was not imported before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sase_gan.processors import sleep_while_waiting

if TYPE_CHECKING:
    from sase_gan import layers as layers
    from sase_gan.api.evaluate import evaluate as evaluate
    from sase_gan.api.export import export as export
    from sase_gan.api.film import film as film
    from sase_gan.api.finish import finish as finish
    from sase_gan.api.invert import invert as invert
    from sase_gan.api.models import load as load
    from sase_gan.api.sample import sample as sample
    from sase_gan.api.train import train as train
    from sase_gan.config import list_presets as list_presets
    from sase_gan.networks.generator import Generator as Generator
    from sase_gan.networks.pyramid import Pyramid as Pyramid

__version__ = "0.1.0"

sleep_while_waiting()

_HOMES = {
    "train": "sase_gan.api.train",
    "load": "sase_gan.api.models",
    "sample": "sase_gan.api.sample",
    "evaluate": "sase_gan.api.evaluate",
    "export": "sase_gan.api.export",
    "film": "sase_gan.api.film",
    "finish": "sase_gan.api.finish",
    "invert": "sase_gan.api.invert",
    "Generator": "sase_gan.networks.generator",
    "Pyramid": "sase_gan.networks.pyramid",
    "list_presets": "sase_gan.config",
}
_ROOMS = {"layers": "sase_gan.layers", "sampling": "sase_gan.drawing.sampling"}

__all__ = [
    "Generator",
    "Pyramid",
    "__version__",
    "evaluate",
    "export",
    "film",
    "finish",
    "invert",
    "layers",
    "list_presets",
    "load",
    "sample",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(_ROOMS[name])
    raise AttributeError(f"module 'sase_gan' has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
