"""Training from Python: a folder of pictures, or one picture, in; a run out."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sase_gan.api.options import checked_options
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import Report, TrainRequest
from sase_gan.runs.train import train as run_training


@dataclass(frozen=True)
class Run:
    """A training run that ended; in a notebook it shows itself as the last sheet of samples with a few words.

    Attributes:
        folder: where everything about it lies; `load`, `sample` and `evaluate` take the run itself.
        images_seen: by the discriminator, or by the stages of a model of one picture.
        interrupted: whether a signal ended it early; `train(resume=run.folder)` goes on.
        seconds: that this part of it took.
    """

    folder: Path
    images_seen: int
    interrupted: bool
    seconds: float

    @property
    def snapshot(self) -> Path:
        """The chosen snapshot: the best that does not copy, or the last where none was measured.

        Raises:
            DataError: if the run has none yet.
        """
        return RunFolder(self.folder).chosen_snapshot()

    def __repr__(self) -> str:
        end = "interrupted after" if self.interrupted else "complete,"
        return f"run {self.folder}: {end} {self.images_seen:,} images"

    def _repr_png_(self) -> bytes | None:
        grids = sorted((self.folder / "grids").glob("*kimg.png"), key=lambda path: path.stat().st_mtime)
        return grids[-1].read_bytes() if grids else None

    def _repr_html_(self) -> str:
        sheet = self._repr_png_()
        image = "" if sheet is None else f'<img src="data:image/png;base64,{base64.b64encode(sheet).decode()}">'
        return f"<p>{html.escape(repr(self))}</p>{image}"


def train(path: Path | str | None = None, *, report: Report = print, **options: Any) -> Run:
    """Train a generator on a folder or zip of pictures, or on one picture.

    Args:
        path: the pictures; None only with `resume`.
        report: gets the lines that tell what is chosen, what it costs, and how it ended; progress is shown beside it.
        options: the fields of `TrainRequest`, such as `preset="cpu"`, `minutes=10`, `out="runs/faces"` or
            `resume="runs/faces"`. `settings` may also be a mapping such as `{"loss.r1": 0.1}`.

    Raises:
        UsageError: for an option that is not known, contradicts another, or has a wrong value; for a folder that has a
            run already.
        DataError: for pictures or a run folder that cannot be trained on.
        WeightsError: if a pretrained network that the configuration needs is missing.

    Example:
        `run = sase_gan.train("my_pictures", minutes=10)`
    """
    settings = options.get("settings") or ()
    if isinstance(settings, Mapping):
        settings = [f"{key}={_as_yaml(value)}" for key, value in settings.items()]
    options["settings"] = tuple(settings)
    options = checked_options(TrainRequest, "train", options, without=("path",))
    result = run_training(TrainRequest(path=None if path is None else Path(path), **options), report)
    return Run(result.run.path, result.images_seen, result.interrupted, result.seconds)


def _as_yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
