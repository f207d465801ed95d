"""Checking of annotated tensor shapes: `conftest.py` installs it into the layers and networks."""

import inspect
from collections.abc import Callable
from typing import Any, get_args

import beartype
from jaxtyping import AbstractArray, install_import_hook


def install() -> None:
    """Check every call into these packages; to be called before the first import of them."""
    install_import_hook(["sase_gan.layers", "sase_gan.networks"], f"{__name__}.{only_shapes.__name__}")


def only_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check what is annotated with a shape, and leave the rest to mypy: tests pass wrong options to see them refused."""
    hints = {name: hint for name, hint in function.__annotations__.items() if _has_shape(hint)}
    if not hints:
        return function
    function.__annotations__ = hints
    return beartype.beartype(function)


def _has_shape(hint: object) -> bool:
    is_shape = inspect.isclass(hint) and issubclass(hint, AbstractArray)
    return is_shape or any(_has_shape(part) for part in get_args(hint))
