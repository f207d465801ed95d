"""What the two kinds of runs do their own way: on a set of pictures, and on one picture. All else is in `runs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sase_gan.datasets.images import ImageSet
from sase_gan.errors import DataError
from sase_gan.runs.presets import FEWEST_IMAGES
from sase_gan.training.configs import RunConfig
from sase_gan.training.low_shot import LowShotModule
from sase_gan.training.low_shot_config import LowShotConfig
from sase_gan.training.one_shot import OneShotModule
from sase_gan.training.one_shot_config import OneShotConfig

Module = LowShotModule | OneShotModule


@dataclass(frozen=True)
class RunPlan:
    """How a run goes; counts and moments are in images seen.

    Attributes:
        build: makes the training module.
        snapshot_images: between two snapshots, or the moments themselves.
        evaluation_count: pictures drawn for the figures of a snapshot.
        seeds: of the sample grids.
        keep: best snapshots that stay; None keeps all, and the newest is the one to use.
        measurable: whether a network that is to be published can be measured; None: always.
        provenance: what a snapshot says of its training.
        position: words for a number of images seen, or None for thousands.
        work: the share of a run's time that so many images take, or None where all take the same.
    """

    build: Callable[[], Module]
    total_images: int
    batch_size: int
    mirror: bool
    log_images: int
    checkpoint_images: int
    snapshot_images: int | Sequence[int]
    evaluation_count: int
    provenance: dict[str, Any]
    seeds: range = range(64)
    keep: int | None = 3
    patience: int | None = None
    measurable: Callable[[Any], bool] | None = None
    position: Callable[[int], str] | None = None
    work: Callable[[int], float] | None = None


def plan_run(config: RunConfig, images: ImageSet, *, weights_dir: str | None = None) -> RunPlan:
    """The plan of a configuration for these pictures.

    Raises:
        DataError: if there are too few pictures, too many, or they have another size than the configuration.
    """
    if isinstance(config, OneShotConfig):
        return _one_shot(config, images)
    return _low_shot(config, images, weights_dir)


def _low_shot(config: LowShotConfig, images: ImageSet, weights_dir: str | None) -> RunPlan:
    if len(images) < FEWEST_IMAGES:
        raise DataError(
            f"{config.data.path} holds {len(images)} usable pictures; at least {FEWEST_IMAGES} are required"
        )
    _check_size(images, (config.image_size, config.image_size))
    schedule = config.schedule
    return RunPlan(
        build=lambda: LowShotModule(config.model_dump(mode="json"), weights_dir=weights_dir),
        total_images=schedule.total_images,
        batch_size=config.optimiser.batch_size,
        mirror=config.data.mirror,
        log_images=schedule.log_images,
        checkpoint_images=schedule.checkpoint_images,
        snapshot_images=schedule.snapshot_images,
        evaluation_count=schedule.evaluation_count,
        patience=schedule.patience,
        provenance={
            "averaged": True,
            "data": {**_facts(config, images), "fit": config.data.fit, "mirror": config.data.mirror},
            "seed": config.seed,
            "extractor_used_in_training": config.loss.reconstruction == "efflite0",
            "reconstruction": config.loss.reconstruction,
        },
    )


def _one_shot(config: OneShotConfig, images: ImageSet) -> RunPlan:
    if len(images) != 1:
        raise DataError(f"{config.data.path} holds {len(images)} pictures; one-shot training takes one")
    sizes, starts = config.generator.sizes, config.stage_starts
    _check_size(images, sizes[-1])
    costs = [config.iterations(stage) * cost for stage, cost in enumerate(config.iteration_costs())]

    def build() -> OneShotModule:
        module = OneShotModule(config.model_dump(mode="json"))
        module.show(images.images[0])
        return module

    def stage_at(seen: int) -> int:
        return max(stage for stage, start in enumerate(starts[:-1]) if seen > start or stage == 0)

    def position(seen: int) -> str:
        stage = stage_at(seen)
        height, width = sizes[stage]
        return f"stage {stage + 1}/{len(sizes)} ({width}x{height}) {seen - starts[stage]}/{config.iterations(stage)}"

    def work(seen: int) -> float:
        stage = stage_at(seen)
        done = sum(costs[:stage]) + costs[stage] * (seen - starts[stage]) / config.iterations(stage)
        return done / sum(costs)

    return RunPlan(
        build=build,
        total_images=config.total_images,
        batch_size=1,
        mirror=False,
        log_images=config.schedule.log_images,
        checkpoint_images=config.schedule.checkpoint_images,
        snapshot_images=starts[1:],
        evaluation_count=config.schedule.evaluation_count,
        seeds=range(16),
        keep=None,
        measurable=lambda network: network.num_stages == len(sizes),
        position=position,
        work=work,
        provenance={
            "averaged": config.averaging.half_life is not None,
            "data": _facts(config, images),
            "seed": config.seed,
            "extractor_used_in_training": False,
        },
    )


def _check_size(images: ImageSet, size: tuple[int, int]) -> None:
    height, width = images.images.shape[2:]
    if (height, width) != tuple(size):
        raise DataError(f"the pictures are {width}x{height}; the configuration asks for {size[1]}x{size[0]}")


def _facts(config: RunConfig, images: ImageSet) -> dict[str, Any]:
    return {
        "name": Path(config.data.path).name if config.data.path else None,
        "count": len(images),
        "digest": images.digest,
        "licence": config.data.licence,
    }
