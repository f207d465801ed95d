"""Runs on one picture."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from sase_gan.colours import seen
from sase_gan.config import resolve
from sase_gan.datasets.images import ImageSet, fitted, open_picture
from sase_gan.errors import DataError
from sase_gan.hardware import Hardware, free_memory_mb
from sase_gan.metrics.records import Measure
from sase_gan.progress import readable_seconds
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.presets import choose_one_shot_preset
from sase_gan.runs.request import Report, TrainRequest, refuse_given
from sase_gan.runs.tasks.base import RunPlan, TrainedTask, background_of, check_size, facts
from sase_gan.training.config import OneShotConfig, sized_for


class OneShotTask(TrainedTask[OneShotConfig]):
    """A generator that learns the inner statistics of one picture."""

    name = "one_shot"
    config_type = OneShotConfig
    foretold = True
    cut_short = False  # it would lack its finest stages

    def of_one_picture(self, config: OneShotConfig) -> bool:
        """Answer yes."""
        return True

    def resolve(self, request: TrainRequest, hardware: Hardware, report: Report) -> OneShotConfig:
        """Choose the preset by the hardware, and the pyramid's sizes by the picture.

        Raises:
            UsageError, DataError: as `Task.resolve`.
        """
        assert request.path is not None
        refuse_given(
            request,
            "a set of pictures",
            image_size="--max-size sets the longer side",
            fit="one picture keeps its proportions",
            holdout="one picture cannot be divided",
            batch_size="every iteration shows the picture",
            kimg="--minutes or --set schedule.iterations=N sets the length",
            devices="one picture is trained on one device",
            classes="one picture has one class",
            start="a pyramid of one picture starts from nothing",
            publish_discriminator="a pyramid's critics are not kept",
        )
        picture = open_picture(request.path)
        preset = request.preset
        if preset is None:
            preset, reason = choose_one_shot_preset(gpu=hardware.kind != "cpu")
            report(f"preset {preset}: {reason}")
        flags = {
            "seed": request.seed,
            "pyramid": {"max_size": request.max_size},
            "generator": {"colours": request.colours},
            "data": {"path": str(request.path.resolve()), "background": request.background},
        }
        config = resolve(
            OneShotConfig, preset=preset, file=request.config, flags=flags, settings=request.settings, task=self.name
        )
        return sized_for(config, _size(picture))

    def for_picture(self, config: OneShotConfig, path: Path) -> OneShotConfig:
        """Fit the configuration to another picture: its path, and the pyramid's sizes for it.

        Raises:
            DataError: for a picture that cannot be read, is too small or too long.
        """
        data = config.data.model_copy(update={"path": str(path.resolve())})
        return sized_for(config.model_copy(update={"data": data}), _size(open_picture(path)))

    def precision(self, config: OneShotConfig, hardware: Hardware) -> str:
        """Return what the configuration says, else float32: the networks are too small to gain by less."""
        return "32-true" if config.precision == "auto" else config.precision

    def new_end(self, request: TrainRequest) -> dict[str, Any]:
        """Give none: the schedule was settled when the run began.

        Raises:
            UsageError: for a length.
        """
        reason = "a run on one picture goes on to its last stage"
        refuse_given(request, "a set of pictures", kimg=reason, batch_size="every iteration shows the picture")
        refuse_given(request, "a new run or a set of pictures", minutes=reason)
        return {}

    def foretell(
        self, config: OneShotConfig, request: TrainRequest, hardware: Hardware, report: Report
    ) -> OneShotConfig:
        """Tell sizes, time and memory; return the configuration with as many iterations as fit into `minutes`."""
        from sase_gan.runs.cost import measure_picture_training

        _tell_sizes(config, request.resume is not None, report)
        cost = measure_picture_training(config, hardware)
        if request.minutes is not None:
            schedule = config.schedule
            fitting = max(1, int(schedule.iterations * 60 * request.minutes / cost.seconds))
            config = config.model_copy(update={"schedule": schedule.model_copy(update={"iterations": fitting})})
        seconds = sum(config.iterations(s) * each for s, each in enumerate(cost.seconds_per_iteration))
        all_timed = cost.timed_stages == config.num_stages
        report(
            f"time     about {readable_seconds(seconds)} for {config.total_images:,} iterations on {hardware.name}, "
            f"{hardware.threads} threads"
            + ("" if all_timed else f"; {cost.timed_stages} stages timed, finer ones foretold")
        )
        report(f"memory   about {cost.peak_memory_mb:,.0f} MB")
        free = free_memory_mb(hardware)
        if free is not None and cost.peak_memory_mb > free:
            report(f"         more than the {free:,.0f} MB that are free: a smaller --max-size needs less")
        return config

    def load(self, config: OneShotConfig) -> ImageSet:
        """Load the picture at the size of the finest stage."""
        picture = open_picture(str(config.data.path), background=background_of(config), colours=config.colours)
        return fitted(picture, config.generator.sizes[-1], config.reduction(_size(picture)))

    def greeting(self, config: OneShotConfig, images: ImageSet, hardware: Hardware, run: RunFolder) -> str:
        """Say where the run is written."""
        return f"writing to {run.path}; look into its grids/ while it trains"

    def plan(self, config: OneShotConfig, images: ImageSet, *, weights_dir: Path | None = None) -> RunPlan:
        """Plan a snapshot at the end of every stage, of which the last is the one to use.

        Raises:
            DataError: for more than one picture, or one of another size.
        """
        if len(images) != 1:
            raise DataError(f"{config.data.path} holds {len(images)} pictures; one-shot training takes one")
        sizes, starts = config.generator.sizes, config.stage_starts
        check_size(images, sizes[-1])

        def build() -> Any:
            from sase_gan.training.one_shot import OneShotModule

            module = OneShotModule(config.model_dump(mode="json"))
            module.show(images.images[0])
            return module

        def position(seen: int) -> str:
            stage = max(stage for stage, start in enumerate(starts[:-1]) if seen > start or stage == 0)
            height, width = sizes[stage]
            done = f"{seen - starts[stage]}/{config.iterations(stage)}"
            return f"stage {stage + 1}/{len(sizes)} ({width}x{height}) {done}"

        return RunPlan(
            config=config,
            build=build,
            batch_size=1,
            mirror=False,
            snapshot_images=starts[1:],
            seeds=range(16),
            keep=None,
            measurable=lambda network: network.num_stages == len(sizes),
            position=position,
            provenance={
                "averaged": config.averaging.half_life is not None,
                "data": facts(config, images),
                "seed": config.seed,
                "extractor_used_in_training": False,
            },
        )

    def measure(self, config: OneShotConfig, images: ImageSet, hardware: Hardware) -> Measure:
        """Measure single-image distance and diversity, and search for copied patches."""
        from sase_gan.metrics.quick import prepare_single_measure

        data = {"name": Path(str(config.data.path)).name, "licence": config.data.licence}
        return prepare_single_measure(seen(images.images[0]).contiguous(), device=hardware.device, data=data)

    def share_done(self, config: OneShotConfig, images_seen: int) -> float:
        """Tell the share of the work: an iteration of a fine stage is more than one of a coarse stage."""
        costs = [config.iterations(stage) * cost for stage, cost in enumerate(config.iteration_costs())]
        parts = zip(pairwise(config.stage_starts), costs, strict=True)
        done = sum(cost * min(1.0, max(0, images_seen - start) / (end - start)) for (start, end), cost in parts)
        return done / sum(costs)


def _size(picture: ImageSet) -> tuple[int, int]:
    height, width = picture.images.shape[2:]
    return height, width


def _tell_sizes(config: OneShotConfig, resumed: bool, report: Report) -> None:
    height, width = config.generator.sizes[-1]
    # A resumed run has its sizes: there is nothing to advise.
    picture = (
        (height, width) if resumed else _size(open_picture(str(config.data.path), background=background_of(config)))
    )
    report(f"picture  {picture[1]}x{picture[0]} px, trained at {width}x{height} px")
    if (height, width) != picture:
        more = max(picture) / max(height, width)
        report(
            f"         smaller than the picture: --max-size up to {max(picture)} keeps more detail, at up to "
            f"{more**2:.1f} times the time and memory of the finest stage"
        )
    report("stages   " + ", ".join(f"{w}x{h}" for h, w in config.generator.sizes))
