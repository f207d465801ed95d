"""Runs without training: a model that holds the pictures, made within seconds, of one picture, a handful or a set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.colours import seen
from sase_gan.config import resolve
from sase_gan.datasets.images import ImageSet, fitted, load_image_set, open_picture, split_holdout
from sase_gan.datasets.sources import open_images
from sase_gan.errors import UsageError
from sase_gan.fits import checked_size, size_words
from sase_gan.hardware import Hardware, peak_memory_mb
from sase_gan.metrics.records import Measure
from sase_gan.progress import readable_seconds
from sase_gan.recombination.choice import A_FEW, choose_form
from sase_gan.recombination.schedules import COARSEST, level_sizes
from sase_gan.runs.classes import asked_classes, check_left, with_classes
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.presets import choose_free_side, choose_instant_side, choose_kind, recombinable
from sase_gan.runs.request import Report, TrainRequest, refuse_given
from sase_gan.runs.tasks.base import Task, background_of
from sase_gan.training.instant_config import InstantConfig

if TYPE_CHECKING:
    from sase_gan.runs.options import RunOptions, RunResult

LONGER_SIDE = 128
"""Of one picture in pixels, where nothing else is asked for; see `choose_instant_side` for sets."""
_NOTHING_TRAINED = "nothing is trained here; a network is, with --preset cpu, gpu, quick or standard"


class InstantTask(Task[InstantConfig]):
    """New arrangements of the pictures themselves: there is nothing to train."""

    name = "instant"
    config_type = InstantConfig
    foretold = False
    cut_short = False

    def of_one_picture(self, config: InstantConfig) -> bool:
        """Tell whether the run is on one picture."""
        return config.of_one_picture

    def resolve(self, request: TrainRequest, hardware: Hardware, report: Report) -> InstantConfig:
        """Choose the size by the pictures and the hardware.

        Raises:
            UsageError, DataError: as `Task.resolve`.
        """
        assert request.path is not None
        refuse_given(
            request,
            "a training",
            kimg=_NOTHING_TRAINED,
            minutes=_NOTHING_TRAINED,
            batch_size=_NOTHING_TRAINED,
            devices="one device draws",
            logger="nothing is trained that could be logged",
            start=_NOTHING_TRAINED,
            publish_discriminator=_NOTHING_TRAINED,
        )
        source = open_images(request.path)
        alone = len(source) == 1
        if alone:
            refuse_given(
                request,
                "a set of pictures",
                image_size="--max-size sets the longer side",
                fit="one picture keeps its proportions",
                classes="one picture has one class",
                holdout="one picture cannot be divided",
            )
        else:
            refuse_given(request, "one picture", max_size="--image-size sets the side of a set's pictures")
        if request.preset is None:
            report(f"preset instant: {choose_kind(len(source))[1]}")
        classes = None if alone else asked_classes(request, source, report)
        flags = {
            "image_size": None if request.image_size is None else checked_size(request.image_size),
            "max_size": request.max_size,
            "seed": request.seed,
            "colours": request.colours,
            "classes": None if classes is None else {key: classes[key] for key in ("source", "names")},
            "data": {
                "path": str(request.path),
                "fit": request.fit,
                "holdout": request.holdout,
                "background": request.background,
            },
        }
        preset = request.preset or "instant"
        config = resolve(
            InstantConfig, preset=preset, file=request.config, flags=flags, settings=request.settings, task=self.name
        )
        return self.for_picture(config, request.path) if alone else _for_set(config, request.path, hardware)

    def for_picture(self, config: InstantConfig, path: Path) -> InstantConfig:
        """Fit the configuration to one picture: its path, the longer side, and whether mirror images serve.

        Raises:
            DataError: for a picture that cannot be read.
        """
        longer = max(open_picture(path).images.shape[2:])
        side = min(longer, config.max_size or LONGER_SIDE)
        return _settled(config, path, {"image_size": None, "max_size": side}, free=True)

    def reopen(self, run: RunFolder, request: TrainRequest) -> InstantConfig:
        """Refuse: such a run is complete.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{run.path} was made without training, so there is nothing to go on with; draw from it with: sase-gan "
            f"sample {run.path}"
        )

    def new_end(self, request: TrainRequest) -> dict[str, Any]:
        """Give none: such a run is complete."""
        return {}

    def foretell(
        self, config: InstantConfig, request: TrainRequest, hardware: Hardware, report: Report
    ) -> InstantConfig:
        """Draw two pictures, and tell time, memory and what the snapshot will hold."""
        from sase_gan.drawing.sampling import sample_images
        from sase_gan.runs.instant import build_of

        images = self.load(config)
        start = time.monotonic()
        made = build_of(config, images, hardware)
        prepared = time.monotonic() - start
        start = time.monotonic()
        sample_images(made.network, range(2))
        seconds = (time.monotonic() - start) / 2
        height, width = images.images.shape[2:]
        report(f"pictures  {len(images)} at {width}x{height} px; {made.words}")
        report(
            f"time      {readable_seconds(prepared)} to prepare, {seconds:.2g} s a picture on {hardware.name}, "
            f"{hardware.threads} threads"
        )
        report(f"memory    {peak_memory_mb(hardware.device):,.0f} MB at most")
        report(f"snapshot  {images.images.numel() / 2**20:,.1f} MB: it contains the training pictures, losslessly")
        return config

    def load(self, config: InstantConfig) -> ImageSet:
        """Load the pictures: squares of a set, without those held out, or one picture in its proportions."""
        path = Path(str(config.data.path))
        if not config.of_one_picture:
            images = load_image_set(
                path,
                image_size=config.picture_size,
                fit=config.data.fit,
                background=background_of(config),
                colours=config.colours,
            )
            images = with_classes(images, str(path), config.classes.source, config.classes.names)
            return (
                check_left(split_holdout(images, config.data.holdout, config.seed)[0])
                if config.data.holdout
                else images
            )
        picture = open_picture(path, background=background_of(config), colours=config.colours)
        height, width = picture.images.shape[2:]
        scale = (config.max_size or max(height, width)) / max(height, width)
        return fitted(picture, (max(1, round(scale * height)), max(1, round(scale * width))))

    def greeting(self, config: InstantConfig, images: ImageSet, hardware: Hardware, run: RunFolder) -> str:
        """Say how many pictures are recombined, and where."""
        height, width = images.images.shape[2:]
        what = "one picture" if len(images) == 1 else f"{len(images)} pictures"
        return f"{what} at {width}x{height} px on {hardware.name}; writing to {run.path}"

    def carry_out(
        self, config: InstantConfig, images: ImageSet, run: RunFolder, options: RunOptions, *, resumed: bool = False
    ) -> RunResult:
        """Make the model, its grid and its figures."""
        from sase_gan.runs.instant import make_run

        return make_run(config, images, run, options)

    def measure(self, config: InstantConfig, images: ImageSet, hardware: Hardware) -> Measure:
        """Measure as models that are trained on such pictures are measured."""
        from sase_gan.metrics.quick import prepare_measure, prepare_single_measure

        data = {"name": Path(str(config.data.path)).name, "licence": config.data.licence}
        if config.of_one_picture:
            return prepare_single_measure(seen(images.images[0]).contiguous(), device=hardware.device, data=data)
        return prepare_measure(seen(images.images), device=hardware.device, data={**data, "mirror": config.data.mirror})

    def share_done(self, config: InstantConfig, images_seen: int) -> float:
        """Answer that all is done: what takes seconds has no shares."""
        return 1.0

    def ending(self, config: InstantConfig, result: RunResult) -> list[str]:
        """Tell the time, and what the model consists of."""
        return [
            f"made in {readable_seconds(result.seconds)}, without training; the run is in {result.run.path}",
            "the snapshot contains the training pictures, losslessly; every region of what it draws comes from one of "
            "them: new arrangements, not new matter",
        ]


def _for_set(config: InstantConfig, path: Path, hardware: Hardware) -> InstantConfig:
    source, side = open_images(path, background=background_of(config)), config.image_size
    size = config.picture_size
    free = config.recombination.form == "free"
    if config.recombination.form == "auto" and len(source) < A_FEW:
        small = COARSEST if size is None else tuple(max(1, COARSEST * one // min(size)) for one in size)
        few = load_image_set(source, image_size=small, fit=config.data.fit)  # type: ignore[arg-type]
        free = choose_form(few.images).form == "free"
    if side is None:
        # The first pictures are enough to choose an image size, without decoding a whole set twice.
        sides = [min(source.read(index).shape[1:]) for index in range(min(len(source), 16))]
        gpu = hardware.kind != "cpu"
        side = choose_free_side(sides, len(source), gpu=gpu) if free else choose_instant_side(sides, gpu=gpu)
    elif size is not None and min(level_sizes(size)[0]) >= 2 * COARSEST:
        near = size_words(*(recombinable(one, min(size)) for one in size))
        raise UsageError(
            f"image_size is {side}; pictures are recombined coarse to fine, each level half of the next, so it must be "
            f"even enough to be halved below {2 * COARSEST} px: such as {near}"
        )
    return _settled(config, path, {"image_size": side, "max_size": None}, free=free)


def _settled(config: InstantConfig, path: Path, sizes: dict[str, Any], *, free: bool) -> InstantConfig:
    """Fill in what is still open.

    Args:
        free: a picture of the free form costs more than a second, and mirror images would double its preparation.
    """
    data = config.data.model_copy(update={"path": str(path.resolve())})
    if data.mirror is None:
        data = data.model_copy(update={"mirror": not free})
    schedule = config.schedule
    if schedule.grid_images is None:
        schedule = schedule.model_copy(update={"grid_images": 16 if free else 64})
    if schedule.evaluation_count is None:
        schedule = schedule.model_copy(update={"evaluation_count": 16 if free else 200})
    return config.model_copy(update={**sizes, "data": data, "schedule": schedule})
