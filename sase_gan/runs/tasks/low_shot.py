"""Runs on a set of pictures."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan import precision
from sase_gan.class_names import counted
from sase_gan.colours import seen
from sase_gan.config import merge, resolve
from sase_gan.datasets.classes import class_counts
from sase_gan.datasets.images import ImageSet, load_image_set, split_holdout
from sase_gan.datasets.sources import open_images
from sase_gan.errors import DataError
from sase_gan.fits import checked_size, size_words
from sase_gan.hardware import Hardware, is_first_process
from sase_gan.metrics.records import Measure
from sase_gan.networks.discriminator_file import save_discriminator
from sase_gan.progress import readable_seconds
from sase_gan.runs.classes import asked_classes, check_left, class_facts, with_classes
from sase_gan.runs.expectation import expectation
from sase_gan.runs.finishing import finish_run
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.instant import draw_material
from sase_gan.runs.options import RunOptions, RunResult
from sase_gan.runs.presets import FEWEST_IMAGES, choose_preset
from sase_gan.runs.request import Report, TrainRequest, refuse_given
from sase_gan.runs.starting import Start, begin_from, fitting_sections, open_start, settled_start, started_from
from sase_gan.runs.tasks.base import RunPlan, TrainedTask, background_of, check_size, facts
from sase_gan.sixteen_bits import widened
from sase_gan.training.config import LowShotConfig


class LowShotTask(TrainedTask[LowShotConfig]):
    """A generator that learns from a set of pictures."""

    name = "low_shot"
    config_type = LowShotConfig
    foretold = False  # two steps of a large network take minutes on a CPU
    cut_short = True

    def of_one_picture(self, config: LowShotConfig) -> bool:
        """Answer no."""
        return False

    def resolve(self, request: TrainRequest, hardware: Hardware, report: Report) -> LowShotConfig:
        """Choose preset and image size by the pictures and the hardware.

        Raises:
            UsageError, DataError: as `Task.resolve`; for fewer pictures than a set needs.
        """
        assert request.path is not None
        source = open_images(request.path)
        if len(source) < FEWEST_IMAGES:
            raise DataError(
                f"{request.path} holds {len(source)} pictures; at least {FEWEST_IMAGES} are required to train on a set"
            )
        refuse_given(request, "one picture", max_size="--image-size sets the side of a set's pictures")
        preset, image_size = request.preset, None if request.image_size is None else checked_size(request.image_size)
        start = None if request.start is None else open_start(request.start)
        if preset is None:
            # The first pictures are enough to choose an image size, without decoding a whole set twice.
            smallest = min(min(source.read(i).shape[1:]) for i in range(min(len(source), 16)))
            wish = image_size if start is None or image_size is not None else start.image_size
            choice = choose_preset(len(source), smallest, gpu=hardware.kind != "cpu", image_size=wish)
            preset, image_size = choice.preset, choice.image_size if start is None else image_size
            report(f"preset {preset}: {choice.reason}")
        flags = {
            "image_size": image_size,
            "colours": request.colours,
            "classes": asked_classes(request, source, report),
            "seed": request.seed,
            "precision": request.precision,
            "data": {
                "path": str(request.path.resolve()),
                "fit": request.fit,
                "holdout": request.holdout,
                "background": request.background,
            },
            "start": {"frozen_layers": request.freeze, "rate_factor": request.rate_factor},
            **merge(self.new_end(request), {"schedule": {"publish_discriminator": request.publish_discriminator}}),
        }
        config = _settled(request, preset, flags, start)
        if config.classes.names:
            report(config.classes.words())
        return config.model_copy(update={"precision": precision.settled(config.precision, hardware)})

    def precision(self, config: LowShotConfig, hardware: Hardware) -> str:
        """Return what the configuration says: a resumed run computes as it began, unless asked for another one."""
        return precision.settled(config.precision, hardware)

    def new_end(self, request: TrainRequest) -> dict[str, Any]:
        """Let a resumed run go on for more images, and with another batch, as where memory is short."""
        return {
            "schedule": {"total_images": None if request.kimg is None else round(request.kimg * 1000)},
            "optimiser": {"batch_size": request.batch_size},
        }

    def foretell(
        self, config: LowShotConfig, request: TrainRequest, hardware: Hardware, report: Report
    ) -> LowShotConfig:
        """Time two steps and tell parameters, speed, time and memory."""
        from sase_gan.runs.cost import measure_training

        pictures = len(open_images(str(config.data.path)))
        report(f"{pictures} pictures; timing two steps on {hardware.name} ...")
        cost = measure_training(config, hardware, steps=2, warm_up=1, weights_dir=request.weights_dir)
        seconds = config.total_images / cost.images_per_second
        report(f"generator      {cost.generator_parameters:,} parameters")
        report(f"discriminator  {cost.discriminator_parameters:,} parameters")
        report(f"speed          {cost.images_per_second:.1f} images/s ({hardware.precision}, {hardware.name})")
        report(f"time           about {readable_seconds(seconds)} for {config.total_images:,} images")
        report(f"memory         {cost.peak_memory_mb:,.0f} MB at most")
        images = config.total_images
        if request.minutes is not None:
            images = min(images, round(60 * request.minutes * cost.images_per_second))
        if told := expectation(config, pictures, images):
            report(told)
        return config

    def load(self, config: LowShotConfig) -> ImageSet:
        """Load the set without the pictures that the configuration holds out."""
        images = load_image_set(
            Path(str(config.data.path)),
            image_size=config.picture_size,
            fit=config.data.fit,
            background=background_of(config),
            colours=config.colours,
        )
        images = with_classes(images, str(config.data.path), config.classes.source, config.classes.names)
        return check_left(split_holdout(images, config.data.holdout, config.seed)[0]) if config.data.holdout else images

    def greeting(self, config: LowShotConfig, images: ImageSet, hardware: Hardware, run: RunFolder) -> str:
        """Say how many pictures are trained on, and where."""
        what, where = (
            f"{len(images)} pictures{_of_classes(images)} at {size_words(*config.picture_size)} px",
            f"{hardware.name}, {hardware.precision}",
        )
        told = expectation(config, len(images), config.total_images)
        return f"{what} on {where}; writing to {run.path}" + (f"\n{told}" if told else "")

    def plan(self, config: LowShotConfig, images: ImageSet, *, weights_dir: Path | None = None) -> RunPlan:
        """Plan snapshots every so many images, of which the best stay.

        Raises:
            DataError: for fewer pictures than a set needs, or of another size.
        """
        if len(images) < FEWEST_IMAGES:
            raise DataError(
                f"{config.data.path} holds {len(images)} usable pictures; at least {FEWEST_IMAGES} are required"
            )
        check_size(images, config.picture_size)

        def build() -> Any:
            from sase_gan.training.low_shot import LowShotModule

            folder = None if weights_dir is None else str(weights_dir)
            return LowShotModule(config.model_dump(mode="json"), weights_dir=folder)

        provenance: dict[str, Any] = {
            "averaged": True,
            "data": {**facts(config, images), "fit": config.data.fit, "mirror": config.data.mirror},
            "seed": config.seed,
            "extractor_used_in_training": _trains_with_the_extractor(config),
            "reconstruction": config.loss.reconstruction,
            "taught_by": _teachers(config),
        }
        if images.classes:
            provenance["data"]["classes"] = class_facts(images, config.classes.source)
        if (origin := started_from(config)) is not None:
            provenance["started_from"] = origin
        return RunPlan(
            config=config,
            build=build,
            batch_size=config.optimiser.batch_size,
            mirror=config.data.mirror,
            balanced=config.classes.drawing == "balanced",
            snapshot_images=config.schedule.snapshot_images,
            patience=config.schedule.patience,
            cpu_seconds=config.schedule.cpu_seconds,
            position=None if config.schedule.cpu_seconds is None else (lambda seen: f"{seen / 1000:.1f} kimg"),
            prepare=partial(_prepare, config, images),
            begin=None if config.start.path is None else partial(begin_from, config),
            beside=partial(_publish_discriminator, provenance) if config.schedule.publish_discriminator else None,
            baseline_images=config.schedule.baseline_images,
            provenance=provenance,
        )

    def carry_out(
        self, config: LowShotConfig, images: ImageSet, run: RunFolder, options: RunOptions, *, resumed: bool = False
    ) -> RunResult:
        """Train, or go on training; at the end the best pictures are finished with patches, where that is asked for.

        Raises:
            KeyboardInterrupt: with what to do, where the finishing was stopped.
        """
        result = super().carry_out(config, images, run, options, resumed=resumed)
        # What was interrupted goes on, and of several processes one finishes.
        if not config.finish.enabled or result.interrupted or not is_first_process():
            return result
        try:
            options.report(finish_run(run, images, config.finish, options, mirror=config.data.mirror))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"the training is whole, and its pictures are not finished with patches yet: sase-gan finish {run.path}"
            ) from None
        return result

    def measure(self, config: LowShotConfig, images: ImageSet, hardware: Hardware) -> Measure:
        """Measure distances to the set, and search for copies of it."""
        from sase_gan.metrics.quick import prepare_measure

        data = config.data
        return prepare_measure(
            seen(images.images),
            device=hardware.device,
            extractor_used_in_training=_trains_with_the_extractor(config),
            taught_by=_teachers(config),
            started_from=started_from(config),
            data={"name": Path(str(data.path)).name, "licence": data.licence, "mirror": data.mirror},
        )


def _settled(request: TrainRequest, preset: str, flags: dict[str, Any], start: Start | None) -> LowShotConfig:
    """Check the configuration, over the settings of the model that it starts from where there is one.

    Raises:
        UsageError: for a wrong setting, or one that does not fit what the run starts from.
    """

    def resolved(beneath: dict[str, Any]) -> LowShotConfig:
        return resolve(
            LowShotConfig,
            preset=preset,
            file=request.config,
            flags=flags,
            settings=request.settings,
            task=LowShotTask.name,
            beneath=beneath,
        )

    if start is None:
        return _with_ramp(resolved({}))
    # The image size that is asked for is known only when everything was merged.
    size = resolved({"image_size": start.image_size}).image_size
    sections = merge(start.sections(), {"generator": fitting_sections(start, size)})
    return _with_ramp(settled_start(resolved(sections), start), start)


def _with_ramp(config: LowShotConfig, start: Start | None = None) -> LowShotConfig:
    """Settle from when on classes are learnt; a model that knows them begins with them."""
    known = start is not None and bool(config.classes.names) and start.generator.classes == config.classes.names
    return config.model_copy(update={"classes": config.classes.settled(known=known)})


def _of_classes(images: ImageSet) -> str:
    return (
        f" of {len(images.classes)} classes ({counted(images.classes, class_counts(images))})" if images.classes else ""
    )


def _publish_discriminator(provenance: dict[str, Any], module: Any, folder: Path) -> None:
    save_discriminator(module.discriminator, folder, {**provenance, "images_seen": module.images_seen})


def _trains_with_the_extractor(config: LowShotConfig) -> bool:
    """Tell whether the network that measures snapshots also judges in training, which flatters its figures."""
    return config.loss.reconstruction == "efflite0" or config.likelihood.weight > 0


def _teachers(config: LowShotConfig) -> dict[str, float] | None:
    """Say what taught the network beside the training pictures and its discriminator; None where nothing did."""
    found = {"likelihood term, weight": config.likelihood.weight, "recombinations": config.recombinations.count}
    return {name: value for name, value in found.items() if value} or None


def _prepare(config: LowShotConfig, images: ImageSet, module: Any, options: RunOptions) -> Tensor:
    """Draw recombinations where they are asked for, and show the module what pulls latents.

    Their CPU seconds count as training, once; a resumed run draws the same ones again.
    """
    section, pictures = config.recombinations, images.learnt
    if section.count:
        begun = time.process_time()
        drawn = draw_material(section, images, options.hardware, seed=config.seed, mirror=config.data.mirror)
        spent = time.process_time() - begun
        module.cpu_seconds += spent if module.images_seen == 0 else 0.0
        options.report(f"{section.count} recombinations of the pictures serve as real ones too, {spent:.0f} CPU s")
        pictures = torch.cat([pictures, drawn if images.fine is None else widened(drawn)])
    # Where mirror images are shown to the discriminator, they are as real as the others, and pull too.
    labels = torch.tensor(images.labels) if images.labels else None
    module.show(pictures if section.pull else images.learnt, mirror=config.data.mirror, labels=labels)
    return pictures
