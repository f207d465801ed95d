"""The studio's own CSS, scripts and pieces of HTML."""

from __future__ import annotations

from importlib import resources


def asset(name: str) -> str:
    """Read one of the files beside this module."""
    return resources.files("sase_gan.ui").joinpath(name).read_text(encoding="utf-8")
