"""What a kind of run must be able to do, and the plan by which `runs.run` carries out one that trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sase_gan.config import resolve
from sase_gan.datasets.images import ImageSet
from sase_gan.errors import DataError
from sase_gan.hardware import Hardware
from sase_gan.metrics.records import Measure
from sase_gan.pixels import Colour, parse_colour
from sase_gan.progress import readable_seconds
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.request import Report, TrainRequest
from sase_gan.training.config import LowShotConfig, OneShotConfig
from sase_gan.training.instant_config import InstantConfig

if TYPE_CHECKING:
    from torch import Tensor

    from sase_gan.runs.options import RunOptions, RunResult

TrainedConfig = LowShotConfig | OneShotConfig
RunConfig = TrainedConfig | InstantConfig
Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True)
class RunPlan:
    """What a run needs besides the settings that all kinds of configurations share.

    Attributes:
        build: makes the training module.
        snapshot_images: images seen between two snapshots, or at each of them.
        provenance: what a snapshot says of its training.
        seeds: of the sample grids.
        baseline_images: recombined without training and shown before the first step.
        keep: best snapshots that stay; None keeps all, and the newest is the one to use.
        measurable: whether a network that is to be published can be measured.
        cpu_seconds: of training after which the run ends, if it has not before.
        prepare: hands the module what it needs beside batches, and returns what batches are made of; None: pictures.
        begin: gives the module of a new run the weights that it starts from, and reports that; None: random ones.
        balanced: whether classes are shown equally often.
        beside: writes into a snapshot's folder what is published beside it.
        position: words for a number of images seen, or None for thousands.
    """

    config: TrainedConfig
    build: Callable[[], Any]
    batch_size: int
    mirror: bool
    snapshot_images: int | Sequence[int]
    provenance: dict[str, Any]
    seeds: range = range(64)
    baseline_images: int = 0
    keep: int | None = 3
    patience: int | None = None
    measurable: Callable[[Any], bool] = lambda network: True
    cpu_seconds: float | None = None
    prepare: Callable[[Any, RunOptions], Tensor] | None = None
    balanced: bool = False
    begin: Callable[[Any, Report], None] | None = None
    beside: Callable[[Any, Path], None] | None = None
    position: Callable[[int], str] | None = None


class Task(ABC, Generic[Config]):
    """A kind of run: how its pictures become a configuration, its costs, its course and its figures.

    All that differs between the kinds is asked of these objects; they keep no state.

    Attributes:
        name: the word in a configuration's `task`, and the folder of its presets.
        foretold: the cost is told before every new run, because it is known in seconds; else on a dry run only.
        cut_short: `minutes` end a run early; else its schedule is fitted into them by `foretell`.
    """

    name: ClassVar[str]
    config_type: type[Config]
    foretold: ClassVar[bool]
    cut_short: ClassVar[bool]

    @abstractmethod
    def resolve(self, request: TrainRequest, hardware: Hardware, report: Report) -> Config:
        """Make the configuration of a new run; a preset that was not asked for is chosen and told.

        Raises:
            UsageError: for a wrong setting, or an option of another kind of run.
            DataError: for pictures that cannot be trained on.
        """

    def reopen(self, run: RunFolder, request: TrainRequest) -> Config:
        """Read the configuration of a run that goes on, with the end that is asked for, and where its pictures are now.

        Raises:
            UsageError: for an option that this kind of run does not take, or a file that is no configuration.
        """
        flags = self.new_end(request)
        if request.path is not None:
            flags = {**flags, "data": {"path": str(request.path.expanduser().resolve())}}
        return resolve(self.config_type, file=run.config, flags=flags, settings=request.settings)

    def precision(self, config: Config, hardware: Hardware) -> str:
        """Return the precision of a run in Lightning's words: what the hardware was chosen with."""
        return hardware.precision

    @abstractmethod
    def new_end(self, request: TrainRequest) -> dict[str, Any]:
        """Give the settings that a resumed run changes.

        Raises:
            UsageError: for an option that such a run does not take.
        """

    @abstractmethod
    def foretell(self, config: Config, request: TrainRequest, hardware: Hardware, report: Report) -> Config:
        """Tell time and memory of a run before anything is written; return the configuration, fitted into `minutes`."""

    @abstractmethod
    def load(self, config: Config) -> ImageSet:
        """Load the prepared training pictures.

        Raises:
            DataError: if they are gone, or one cannot be read.
        """

    @abstractmethod
    def greeting(self, config: Config, images: ImageSet, hardware: Hardware, run: RunFolder) -> str:
        """Write the line with which a new run begins."""

    @abstractmethod
    def carry_out(
        self, config: Config, images: ImageSet, run: RunFolder, options: RunOptions, *, resumed: bool = False
    ) -> RunResult:
        """Carry out a run on the prepared pictures, from the beginning or from where it stopped.

        Raises:
            UsageError: if the folder of a new run holds one already.
            DataError: if the number of pictures or their size is not what the configuration takes.
        """

    @abstractmethod
    def measure(self, config: Config, images: ImageSet, hardware: Hardware) -> Measure:
        """Prepare what measures a snapshot."""

    @abstractmethod
    def of_one_picture(self, config: Config) -> bool:
        """Tell whether the models of such a run know one picture only."""

    @abstractmethod
    def share_done(self, config: Config, images_seen: int) -> float:
        """Tell the share of the run's work, 0 to 1, that is done when so many images were seen."""

    @abstractmethod
    def ending(self, config: Config, result: RunResult) -> list[str]:
        """Write the lines that tell how a run ended, before the last one, which names its snapshot."""


class TrainedTask(Task[Config]):
    """A kind of run in which a network is trained, by Lightning, as its plan says."""

    @abstractmethod
    def plan(self, config: Config, images: ImageSet, *, weights_dir: Path | None = None) -> RunPlan:
        """Plan how a run on these pictures goes.

        Raises:
            DataError: if there are too few pictures, too many, or they have another size than the configuration.
        """

    def carry_out(
        self, config: Config, images: ImageSet, run: RunFolder, options: RunOptions, *, resumed: bool = False
    ) -> RunResult:
        """Train, or go on training."""
        from sase_gan.runs.run import resume_run, start_run

        assert not isinstance(config, InstantConfig)
        return (resume_run if resumed else start_run)(config, images, run, options)

    def share_done(self, config: Config, images_seen: int) -> float:
        """Tell the share of the images that were seen."""
        return min(1.0, images_seen / config.total_images)

    def ending(self, config: Config, result: RunResult) -> list[str]:
        """Tell images and time."""
        share = result.measuring_seconds / max(result.seconds, 1e-9)
        return [
            f"{result.images_seen:,} images seen in {readable_seconds(result.seconds)}, {share:.0%} of it for figures; "
            f"the run is in {result.run.path}"
        ]


def check_size(images: ImageSet, size: tuple[int, int]) -> None:
    """Refuse pictures of another (height, width).

    Raises:
        DataError: with both sizes.
    """
    height, width = images.images.shape[2:]
    if (height, width) != tuple(size):
        raise DataError(f"the pictures are {width}x{height}; the configuration asks for {size[1]}x{size[0]}")


def background_of(config: RunConfig) -> Colour:
    """Read the colour behind transparent pixels."""
    return parse_colour(config.data.background)


def facts(config: RunConfig, images: ImageSet) -> dict[str, Any]:
    """Gather what a snapshot says of its training pictures."""
    name = Path(config.data.path).name if config.data.path else None
    told = {"name": name, "count": len(images), "digest": images.digest, "licence": config.data.licence}
    if config.colours != "rgb":
        told["colours"] = config.colours
    behind = config.data.background
    return told if behind == "white" else {**told, "background": behind}
