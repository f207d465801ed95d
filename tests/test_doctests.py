"""Every example in a docstring of the package runs, and says the truth."""

import doctest
import importlib
from pathlib import Path

import pytest

import sase_gan

ROOT = Path(sase_gan.__file__).parent
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in sorted(ROOT.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]


def test_there_are_examples() -> None:
    assert len(MODULES) >= 10


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert result.attempted > 0, f"{name} has >>> that is in no docstring"
    assert result.failed == 0
