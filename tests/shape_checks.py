"""Checking of annotated tensor shapes: `conftest.py` installs it into the layers and networks."""

import inspect
import sys
from collections.abc import Callable
from typing import Any, get_args

import beartype
import jaxtyping
import pytest

PACKAGES = ("sase_gan.layers", "sase_gan.networks")


def install() -> None:
    """Check every call into these packages; to be called before the first import of them."""
    jaxtyping.install_import_hook(list(PACKAGES), f"{__name__}.{only_shapes.__name__}")


@pytest.fixture
def without_shape_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The methods as they were written, for compilers, which cannot look through the checks."""
    modules = [module for name, module in sys.modules.items() if name.startswith(PACKAGES)]
    classes = {part for module in modules for part in vars(module).values() if inspect.isclass(part)}
    for owner in classes:
        for name, method in list(vars(owner).items()) if owner.__module__.startswith(PACKAGES) else ():
            if inspect.isfunction(method) and inspect.getfile(method) == inspect.getfile(jaxtyping.jaxtyped):
                monkeypatch.setattr(owner, name, method.__wrapped__)
    for module in modules:
        for name, function in list(vars(module).items()):
            if inspect.isfunction(function) and inspect.getfile(function) == inspect.getfile(jaxtyping.jaxtyped):
                monkeypatch.setattr(module, name, function.__wrapped__)


def only_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check what is annotated with a shape and leave the rest to mypy: tests pass wrong options on purpose."""
    hints = {name: hint for name, hint in function.__annotations__.items() if _has_shape(hint)}
    if not hints:
        return function
    function.__annotations__ = hints
    return beartype.beartype(function)


def _has_shape(hint: object) -> bool:
    is_shape = inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)
    return is_shape or any(_has_shape(part) for part in get_args(hint))
