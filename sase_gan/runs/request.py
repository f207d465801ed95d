"""What a training is asked to be: one record that the command line, Python and the tasks hand on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sase_gan.errors import UsageError

Report = Callable[[str], None]
"""Called with a line for whoever started the training."""


@dataclass(frozen=True)
class TrainRequest:
    """What a training is asked to be; None leaves a choice to the preset, the pictures and the hardware.

    Attributes:
        path: a folder or zip of pictures, or one picture; with `resume` None, or where the run's pictures are now.
        out: the run folder; None takes the next free name in `runs`.
        config: a YAML file, laid over the preset.
        settings: texts such as `loss.r1=0.1`, laid over everything else.
        image_size: side of a set's pictures in pixels, or a text WIDTHxHEIGHT such as "64x96".
        colours: of the pictures: rgb, grey or rgba.
        classes: folders or dataset.json: the model is conditional; None: it is not.
        max_size: longer side of one picture in pixels.
        kimg: train for so many thousand images.
        minutes: stop after so many minutes; a new run on one picture is fitted into them.
        batch_size: pictures a step on each device.
        start: a snapshot, run or name of a model that a training on a set starts from (`--from`).
        freeze: layers of its discriminator, from the picture on, that do not learn.
        rate_factor: both learning rates times this, with `start`.
        publish_discriminator: each snapshot has the discriminator beside it.
        fit: crop, pad or squash, see `fits`.
        background: the colour behind transparent pixels and of padding, a name or #rrggbb.
        holdout: share of the pictures kept out of training.
        resume: the run folder to go on with.
        device: auto, cpu, cuda or mps.
        devices: how many GPUs.
        precision: 32-true or bf16-mixed.
        weights_dir: where pretrained weights are looked for besides the usual places.
        logger: tensorboard or wandb, besides metrics.csv.
        figures: measure quality and copying at snapshots.
    """

    path: Path | None = None
    out: Path | None = None
    preset: str | None = None
    config: Path | None = None
    settings: tuple[str, ...] = ()
    image_size: int | str | None = None
    colours: str | None = None
    classes: str | None = None
    max_size: int | None = None
    kimg: float | None = None
    minutes: float | None = None
    batch_size: int | None = None
    start: Path | None = None
    freeze: int | None = None
    rate_factor: float | None = None
    publish_discriminator: bool | None = None
    seed: int | None = None
    fit: str | None = None
    background: str | None = None
    holdout: float | None = None
    resume: Path | None = None
    device: str = "auto"
    devices: int = 1
    precision: str | None = None
    threads: int | None = None
    weights_dir: Path | None = None
    logger: str | None = None
    figures: bool = True

    def given(self, *names: str) -> dict[str, Any]:
        """Find those of these fields that are not at their default: values by their names on the command line."""
        options = {name: f"--{name.replace('_', '-')}" for name in names}
        options |= {"path": "PATH", "settings": "--set", "start": "--from"}
        values = {name: getattr(self, name) for name in names}
        return {options[name]: value for name, value in values.items() if value != getattr(TrainRequest, name)}

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is read.

        Raises:
            UsageError: without pictures, for an unknown logger, or for a setting that a resumed run has already.
        """
        if self.logger not in (None, "tensorboard", "wandb"):
            raise UsageError(f"logger is {self.logger!r}; choose tensorboard or wandb")
        if self.resume is None and self.path is None:
            raise UsageError("no pictures were given; name a folder, a zip or one picture: sase-gan train PATH")
        if self.start is None and self.resume is None and (loose := self.given("freeze", "rate_factor")):
            raise UsageError(f"{', '.join(loose)} was given without a model to start from; name it: --from MODEL")
        settled = [
            "out",
            "preset",
            "config",
            "image_size",
            "colours",
            "classes",
            "max_size",
            "seed",
            "fit",
            "holdout",
            "background",
            "start",
            "freeze",
            "rate_factor",
            "publish_discriminator",
        ]
        if not all(map(_may_change, self.settings)):
            settled.append("settings")
        wrong = self.given(*settled)
        if self.resume is not None and wrong:
            raise UsageError(
                f"{', '.join(wrong)} cannot be changed on --resume, which goes on with {self.resume} as it began; only "
                "--kimg, --minutes, --batch-size, --set schedule.patience and schedule.cpu_seconds, the learning rates "
                "(--set optimiser.generator_rate=1e-4), the hardware and a new place of the same pictures may be given"
            )


def _may_change(setting: str) -> bool:
    """Tell whether a run that goes on may change it: rates and what ends it, and nothing that its past depends on."""
    key = setting.partition("=")[0].strip()
    if key in ("schedule.patience", "schedule.cpu_seconds"):
        return True
    return key.startswith("optimiser.") and (key.endswith("_rate") or key == "optimiser.rate")


def refuse_given(request: TrainRequest, belongs_to: str, **instead: str) -> None:
    """Refuse options of another kind of run; each is named by its field and comes with a word about what to do instead.

    Raises:
        UsageError: for the first that was given.
    """
    for name, advice in instead.items():
        for option, value in request.given(name).items():
            raise UsageError(f"{option} is {value}, which is for {belongs_to}; leave it out: {advice}")
