"""The model that a training starts from: found by its name, compared with what is to be trained, taken over.

A run gives what its last checkpoint holds: both networks and the average. A snapshot gives its generator, which is an
average itself, and the discriminator where one was published beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sase_gan.config import FrozenRecord
from sase_gan.errors import DataError, UsageError
from sase_gan.files import file_digest
from sase_gan.fits import checked_size, size_words
from sase_gan.networks.channel_tables import generator_sizes
from sase_gan.networks.discriminator import DiscriminatorConfig
from sase_gan.networks.discriminator_file import DISCRIMINATOR_FILE, load_discriminator
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import load_network
from sase_gan.networks.taking_over import renamed_for, take_over
from sase_gan.runs.finding import find_snapshot_folder
from sase_gan.runs.folder import RunFolder, images_of, is_run
from sase_gan.snapshot import WEIGHTS_FILE, snapshot_digest
from sase_gan.training.conditioning import strength
from sase_gan.training.config import LowShotConfig

_CLASSES = {"classes", "class_counts"}
_MAY_DIFFER = {"image_size", "first_map", "spectral_norm", "gates", "attentive_sizes", "downsample", *_CLASSES}
"""Settings of networks between which weights pass nevertheless."""
_OF_CLASSES = ("class_embedding", "class_big.", "class_small.")
"""How the names of the weights begin that belong to classes."""

States = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Start:
    """A model to start from.

    Attributes:
        path: of the snapshot or run folder.
        digest: SHA-256 of the file that the generator comes from.
        licence: of the pictures that it learned from, and of those behind the model that it started from itself.
        discriminator: its settings; None where there is none to be had.
        states: the tensors of `generator`, `average` and `discriminator`, as far as there are such.
    """

    path: Path
    digest: str
    licence: str | None
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig | None
    states: States

    @property
    def image_size(self) -> int | str:
        """The size of its pictures, as it is asked for."""
        return checked_size(size_words(*self.generator.picture_size))

    def sections(self) -> dict[str, Any]:
        """Give the settings that a training from here has where nothing else is asked for."""
        found: dict[str, Any] = {
            "image_size": self.image_size,
            "colours": self.generator.colours,
            "generator": self.generator.model_dump(exclude=_MAY_DIFFER | {"colours"}),
        }
        if self.discriminator is not None:
            found["discriminator"] = self.discriminator.model_dump(
                exclude={"image_size", "first_map", "colours", *_CLASSES}
            )
        return found


def open_start(source: Path | str) -> Start:
    """Open the model of a snapshot (its folder, or the weights in it), of a run, or of a name that `sample` knows.

    Raises:
        DataError: for what is no model, one of another kind, or a damaged one.
    """
    path = Path(source).expanduser()
    path = path.parent if path.name == WEIGHTS_FILE and path.is_file() else path
    if is_run(path) and RunFolder(path).checkpoint.is_file():
        return _of_run(RunFolder(path))
    folder = find_snapshot_folder(path)
    network = load_network(folder)
    if not isinstance(network, Generator):
        raise _wrong_kind(path)
    if isinstance(network, FinishedGenerator):
        network = network.unfinished()
    discriminator = load_discriminator(folder)
    states = {"generator": network.state_dict(), "average": network.state_dict()}
    if discriminator is not None:
        states["discriminator"] = discriminator.state_dict()
    config = None if discriminator is None else discriminator.config
    data, before = (network.provenance.get(name) or {} for name in ("data", "started_from"))
    licence = _joined(data.get("licence"), before.get("licence"))
    return Start(folder, snapshot_digest(folder), licence, network.config, config, states)


def _of_run(run: RunFolder) -> Start:
    from sase_gan.runs.checkpoints import find_checkpoint  # Lightning takes seconds to import
    from sase_gan.runs.tasks import config_of_run

    config, found = config_of_run(run), find_checkpoint(run)
    if not isinstance(config, LowShotConfig):
        raise _wrong_kind(run.path)
    assert found is not None
    state = found.content.get("state_dict")
    if not isinstance(state, dict):
        raise DataError(f"{found.path} holds no networks; start from a snapshot of the run")
    parts = {"generator": "generator.", "discriminator": "discriminator.", "average": "average.module."}
    states = {
        part: {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        for part, prefix in parts.items()
    }
    clock = found.content.get("clock", {})
    _scale_classes(states, config, clock.get("images_seen", 0), clock.get("cpu_seconds", 0.0))
    licence = _joined(config.data.licence, config.start.licence)
    return Start(run.path, file_digest(found.path), licence, config.generator, config.discriminator, states)


def _scale_classes(states: States, config: LowShotConfig, images_seen: int, cpu_seconds: float) -> None:
    """Give classes in a run's checkpoint the worth that they had there; snapshots hold them so."""
    if not config.classes.names:
        return
    section = config.schedule
    done = max(images_seen / section.total_images, cpu_seconds / section.cpu_seconds if section.cpu_seconds else 0.0)
    for part in ("generator", "average"):
        states[part]["class_embedding"].mul_(strength(config.classes.ramp, done))


def _joined(*licences: str | None) -> str | None:
    return "; ".join(dict.fromkeys(licence for licence in licences if licence)) or None


def _wrong_kind(path: Path) -> DataError:
    return DataError(
        f"{path} is no generator that learned from a set of pictures, and a training on a set starts from such a one "
        "only; name the snapshot or run of one"
    )


def settled_start(config: LowShotConfig, start: Start) -> LowShotConfig:
    """Compare what is to be trained with what it starts from, and record that.

    Raises:
        UsageError: where widths or layers differ, or layers of a discriminator are to be frozen that starts anew.
    """
    for name in ("generator", "discriminator"):
        theirs: FrozenRecord | None = getattr(start, name)
        if theirs is None:
            continue
        ours = getattr(config, name).model_dump(exclude=_MAY_DIFFER)
        for key, value in theirs.model_dump(exclude=_MAY_DIFFER).items():
            if ours[key] != value:
                raise UsageError(
                    f"{name}.{key} is {ours[key]!r} here and {value!r} in {start.path}, whose weights do not fit; "
                    "leave the setting out, or start from another model"
                )
    if start.generator.classes and not config.classes.names:
        raise UsageError(
            f"{start.path} has the classes {', '.join(start.generator.classes[:5])}, and its latents mean nothing "
            "without one; ask for classes too (--classes folders), of these names or others, or start from a model "
            "without classes"
        )
    if config.start.frozen_layers and start.discriminator is None:
        raise UsageError(
            f"{config.start.frozen_layers} layers of the discriminator are to be frozen, and {start.path} comes "
            f"without one ({DISCRIMINATOR_FILE}); leave --freeze out, or start from the run folder"
        )
    taken = {
        "path": str(start.path.resolve()),
        "digest": start.digest,
        "licence": start.licence,
        "discriminator": start.discriminator is not None,
    }
    return config.model_copy(update={"start": config.start.model_copy(update=taken)})


def fitting_sections(start: Start, image_size: int) -> dict[str, Any]:
    """Give the settings of the generator that depend on its size, as far as a network of that size has such maps."""
    sizes, config = {4, *generator_sizes(image_size)}, start.generator
    found: dict[str, Any] = {}
    if config.gates is not None:
        found["gates"] = [gate for gate in config.gates if set(gate) <= sizes]
    if config.attentive_sizes is not None:
        found["attentive_sizes"] = [size for size in config.attentive_sizes if size in sizes]
    return found


def begin_from(config: LowShotConfig, module: Any, report: Callable[[str], None]) -> None:
    """Give the networks of a training module the weights that its configuration starts from, before the first step.

    Raises:
        DataError: if the model is gone, or has changed since the run was settled.
    """
    start = open_start(str(config.start.path))
    if start.digest != config.start.digest:
        raise DataError(
            f"{start.path} is not what it was when this run was settled (SHA-256 {start.digest[:12]} and not "
            f"{str(config.start.digest)[:12]}); restore it, or begin a new run"
        )
    states = dict(start.states)
    if start.generator.classes != config.classes.names:  # those of the same place would be other classes
        states = {part: _without_classes(state) for part, state in states.items()}
    told = [f"generator {take_over(module.generator, states['generator']).words()}"]
    take_over(module.average.module, states["average"])
    if start.discriminator is None:
        told.append("the discriminator begins anew, as none was published with it")
    else:
        state = renamed_for(states["discriminator"], before=start.discriminator.image_size, after=config.image_size)
        told.append(f"discriminator {take_over(module.discriminator, state).words()}")
    report(f"starting from {name_of_start(config)} ({start.digest[:12]}): {'; '.join(told)}")


def _without_classes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(_OF_CLASSES)}


def name_of_start(config: LowShotConfig) -> str | None:
    """Name the model that a training starts from, `RUN/000012kimg` or its folder's name; None where there is none."""
    if config.start.path is None:
        return None
    path = Path(config.start.path)
    in_run = path.parent.name == "snapshots" and images_of(path.name) is not None
    return f"{path.parent.parent.name}/{path.name}" if in_run else path.name


def started_from(config: LowShotConfig) -> dict[str, Any] | None:
    """Gather what a snapshot says of the model that its training started from; None where there was none."""
    section = config.start
    if section.path is None:
        return None
    return {
        "name": name_of_start(config),
        "digest": section.digest,
        "licence": section.licence,
        "discriminator": section.discriminator,
        "frozen_layers": section.frozen_layers,
        "rate_factor": section.rate_factor,
    }
