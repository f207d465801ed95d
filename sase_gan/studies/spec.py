"""What a study is: arms that differ in settings, sets of pictures, seeds, and a budget that is the same for all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from sase_gan.config import FrozenRecord, build, list_presets, load_yaml, merge, preset_folder
from sase_gan.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][\w+.-]*")
PRESET_KEY = "preset"
"""In an arm's settings: another preset than the study's."""

FIGURES = (
    "kid_efflite0",
    "fd_efflite0",
    "fd_mid_efflite0",
    "patch_swd",
    "precision_efflite0",
    "recall_efflite0",
    "coverage_efflite0",
    "copy_share",
    "gates_closed",
    "gates_inside",
    "gates_outside",
)


class Budget(FrozenRecord):
    """What every training may spend: CPU seconds of its steps, or images; none: what the preset says."""

    cpu_seconds: float | None = Field(None, gt=0)
    images: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> Budget:
        if self.cpu_seconds is not None and self.images is not None:
            raise ValueError(f"cpu_seconds is {self.cpu_seconds:g} and images {self.images}; give one of them")
        return self

    def schedule(self) -> dict[str, Any]:
        """Return the settings of a training's schedule that keep to it."""
        if self.cpu_seconds is not None:
            return {"cpu_seconds": self.cpu_seconds, "total_images": 1_000_000_000}
        return {} if self.images is None else {"total_images": self.images}

    def __str__(self) -> str:
        if self.cpu_seconds is not None:
            return f"{self.cpu_seconds:g} CPU seconds of training each"
        return "as the presets say" if self.images is None else f"{self.images:,} images each"


class StudySpec(FrozenRecord):
    """A study is read from this record."""

    title: str = Field(description="what is asked")
    task: Literal["generate", "classify"] = Field("generate", description="what is trained")
    preset: str = Field("cpu", description="of every arm that names no other under `preset`")
    sets: dict[str, str | None] = Field(description="name to pictures; none: to be named on the command line")
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: Budget = Budget()
    settings: dict[str, Any] = Field({}, description="of every arm, over its preset")
    arms: dict[str, dict[str, Any]] = Field(description="name to settings, over those of all; the first is compared to")
    count: int = Field(1000, ge=2, description="pictures of a model that are measured")
    figures: tuple[str, ...] = Field(FIGURES, description="of the table")

    @model_validator(mode="after")
    def _names_are_file_names(self) -> StudySpec:
        if not (self.arms and self.sets and self.seeds):
            raise ValueError("a study needs at least one arm, one set and one seed")
        for name in (*self.arms, *self.sets):
            if not _NAME.fullmatch(name):
                raise ValueError(f"the name {name!r} cannot be a file's; use letters, digits, and - + . _")
        return self


@dataclass(frozen=True)
class Cell:
    """A cell is one training of a study: an arm on a set with a seed.

    Attributes:
        path: of the set's pictures.
        settings: all that deviate from the preset.
        schedule: the budget's, for what is trained by images.
        count: pictures that are measured.
    """

    set: str
    arm: str
    seed: int
    path: str
    preset: str
    settings: dict[str, Any]
    schedule: dict[str, Any]
    count: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.set}-{self.arm}-{self.seed}"

    def identity(self) -> dict[str, Any]:
        """Return what its result depends on, wherever the pictures lie."""
        return {
            PRESET_KEY: self.preset,
            "settings": self.settings,
            "schedule": self.schedule,
            "count": self.count,
        }


def load_study(name: str) -> StudySpec:
    """Read a study from a YAML file, or one of `configs/studies` by its name.

    Raises:
        UsageError: if there is none, or it is no study.
    """
    path = Path(name)
    if not path.is_file():
        known = [one.removeprefix("studies/") for one in list_presets("studies")]
        if name.removeprefix("studies/") not in known:
            raise UsageError(f"study is {name!r}; give a YAML file, or one of {', '.join(known)}")
        path = preset_folder() / "studies" / f"{name.removeprefix('studies/')}.yaml"
    return build(StudySpec, load_yaml(path))


def parse_paths(texts: list[str]) -> dict[str, str]:
    """Read the places of sets such as `pandas=/data/pandas`.

    Raises:
        UsageError: for anything else.

    Example:
        >>> parse_paths(["pandas=/data/pandas"])
        {'pandas': '/data/pandas'}
    """
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise UsageError(f"--set-path got {text!r}; write NAME=PATH, for example pandas=/data/pandas")
        found[name] = path
    return found


def plan_cells(spec: StudySpec, paths: Mapping[str, str]) -> tuple[list[Cell], dict[str, str]]:
    """List the cells of a study, and the sets that are left out with the reason.

    Seeds are the outer loop, then sets, then arms, so that an interrupted study has whole rounds.

    Args:
        paths: places of sets, which go before those in the study.

    Raises:
        UsageError: for the place of a set that the study does not have.
    """
    if unknown := [name for name in paths if name not in spec.sets]:
        raise UsageError(f"--set-path names {unknown[0]!r}; the study's sets are {', '.join(spec.sets)}")
    places: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for name, written in spec.sets.items():
        place = paths.get(name) or written
        if place is None:
            skipped[name] = f"it is not part of the repository: name its place with --set-path {name}=FOLDER"
        elif (found := _found(place, spec.task)) is None:
            skipped[name] = f"{place} does not exist"
        else:
            places[name] = found
    cells = [
        _cell(spec, name, place, arm, settings, seed)
        for seed in spec.seeds
        for name, place in places.items()
        for arm, settings in spec.arms.items()
    ]
    return cells, skipped


def _cell(spec: StudySpec, name: str, place: str, arm: str, settings: Mapping[str, Any], seed: int) -> Cell:
    own = {key: value for key, value in settings.items() if key != PRESET_KEY}
    preset = str(settings.get(PRESET_KEY, spec.preset))
    return Cell(name, arm, seed, place, preset, merge(spec.settings, own), spec.budget.schedule(), spec.count)


def _found(place: str, task: str) -> str | None:
    """The place as it can be opened; a bundled set lies beside the presets of a checkout."""
    if task == "classify" and place.startswith("torchvision:"):
        return place
    return next((str(path) for path in (Path(place), preset_folder().parent / place) if path.exists()), None)
