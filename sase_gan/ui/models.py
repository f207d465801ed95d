"""The models of the studio: what lies in the folders named on the command line, and nothing else.

A model is known by its name in this list. A name that a visitor sends is looked up here and never becomes a path.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import torch
from torch import Tensor

from sase_gan.api.training_pictures import training_pictures
from sase_gan.drawing.recipes import Recipe
from sase_gan.errors import DataError, SaseGanError, UsageError
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import load_network, recombiner_of
from sase_gan.networks.pyramid import Pyramid
from sase_gan.recombination.model import Recombiner
from sase_gan.snapshot import WEIGHTS_FILE, SnapshotMixin, read_header, snapshot_digest
from sase_gan.ui.entries import CLASSIFIER, DETECTOR, DRAWING, OF_ONE_PICTURE, Entry, entries_of

if TYPE_CHECKING:
    from sase_gan.ui.nearest import TrainingPictures

MOST_OPEN = 3

N = TypeVar("N", bound=SnapshotMixin)


@dataclass(frozen=True)
class Opened(Generic[N]):
    """A loaded network, in evaluation mode on the studio's device."""

    entry: Entry
    network: N
    digest: str

    @property
    def data(self) -> dict[str, Any]:
        """What the snapshot says of its training pictures."""
        found = self.network.provenance.get("data")
        return found if isinstance(found, dict) else {}

    def draws(self, *recipes: Recipe) -> None:
        """Refuse photographs that were brought into another model.

        Raises:
            UsageError: for such a one.
        """
        for recipe in recipes:
            recipe.check_snapshot(self.digest)


OpenModel = Opened[Generator | Recombiner]
"""A model whose pictures have seeds, trained or instant."""


class Models:
    """The list of what lies in `places`, snapshots, runs, or folders of them; safe to use from several threads."""

    def __init__(self, places: Sequence[Path], device: torch.device | str = "cpu") -> None:
        self.places, self.device = tuple(places), torch.device(device)
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[Path, int], Opened[Any]] = OrderedDict()
        self._training: dict[str, TrainingPictures | str] = {}

    def entries(self, *kinds: str) -> dict[str, Entry]:
        """The models of some kinds by name, as they lie on disk now; without a kind all of them."""
        found: dict[str, Entry] = {}
        for place in self.places:
            for entry in entries_of(place):
                if not kinds or entry.kind in kinds:
                    found.setdefault(entry.name, entry)
        return found

    def names(self, *kinds: str) -> list[str]:
        """Their names, those of the first place first; those that draw by seed if no kind is given."""
        return list(self.entries(*(kinds or DRAWING)))

    def find(self, name: object, *kinds: str) -> Entry:
        """The model of this name and of one of these kinds, one that draws by seed if none is given.

        Raises:
            UsageError: if the list has none.
        """
        entries = self.entries(*(kinds or DRAWING))
        if not entries:
            raise UsageError("There is no model yet: train one in the tab Train, or start the studio with --models.")
        if not isinstance(name, str) or name not in entries:
            shown, first = repr(name)[:80], next(iter(entries))
            raise UsageError(f"There is no model called {shown}; choose one of the list, such as {first}.")
        return entries[name]

    def open(self, name: object) -> OpenModel:
        """The model of this name that draws by seed; the last few models are kept.

        Raises:
            UsageError: if the list has none.
            DataError: if its files are damaged or no safetensors.
        """
        return self._opened(self.find(name), load_network)

    def open_generator(self, name: object, wanted: str) -> Opened[Generator]:
        """The trained generator of this name; `wanted` names in the plural what an instant model lacks.

        Raises:
            UsageError: as `open`, and for an instant model.
            DataError: as `open`.
        """
        opened = self.open(name)
        if isinstance(opened.network, Recombiner):
            raise UsageError(without_network(opened.entry.name, wanted))
        return cast(Opened[Generator], opened)

    def open_of_one_picture(self, name: object) -> Opened[Pyramid | Recombiner]:
        """The model of one picture of this name; kept alike.

        Raises:
            UsageError, DataError: as `open`.
        """
        return self._opened(self.find(name, *OF_ONE_PICTURE), load_network)

    def open_recogniser(self, name: object) -> Opened[Any]:
        """The classifier or detector of this name; kept alike.

        Raises:
            UsageError, DataError: as `open`.
        """
        return self._opened(self.find(name, CLASSIFIER, DETECTOR), _load_recogniser)

    def _opened(self, entry: Entry, load: Callable[[Path], Any]) -> Opened[Any]:
        try:
            key = (entry.folder, (entry.folder / WEIGHTS_FILE).stat().st_mtime_ns)
        except OSError:
            raise DataError(f"The model {entry.name} was removed in the meantime; choose another one.") from None
        with self._lock:
            if key not in self._open:
                self._open[key] = Opened(entry, load(entry.folder).to(self.device), snapshot_digest(entry.folder))
                while len(self._open) > MOST_OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(key)
            return self._open[key]

    def training_pictures(self, model: OpenModel) -> TrainingPictures:
        """The pictures that a model holds, or was trained on if they are still on this machine and unchanged.

        Raises:
            DataError: if they are not.
        """
        # The metrics take seconds to import, and the first picture is not to wait for them.
        from sase_gan.ui.nearest import TrainingPictures

        with self._lock:
            if model.digest not in self._training:
                if len(self._training) >= MOST_OPEN:
                    self._training.pop(next(iter(self._training)))
                try:
                    self._training[model.digest] = TrainingPictures(*_load_training_pictures(model))
                except (SaseGanError, OSError) as error:
                    self._training[model.digest] = str(error)
            found = self._training[model.digest]
        if isinstance(found, str):
            raise DataError(found)
        return found


def _load_recogniser(folder: Path) -> Any:
    # timm takes a second to import, and the first picture is not to wait for it.
    from sase_gan.recognition.classification.classifier import Classifier
    from sase_gan.recognition.detection.detector import Detector

    classes: dict[str, Any] = {CLASSIFIER: Classifier, DETECTOR: Detector}
    return classes[read_header(folder / WEIGHTS_FILE)["kind"]].from_pretrained(str(folder))


def _load_training_pictures(model: OpenModel) -> tuple[Tensor, tuple[str, ...]]:
    if (holding := recombiner_of(model.network)) is not None:
        return holding.pictures.cpu(), picture_names(holding)
    images = training_pictures(model.entry.run, model.data, model.network.config.picture_size)
    return images.images, images.names


def without_network(name: str, wanted: str) -> str:
    """Say that an instant model has none of what a network has."""
    return (
        f"{name} is an instant model: it has no {wanted}, because no network was trained; it draws in the tabs "
        "Generate, Explore and Recombine."
    )


def picture_names(network: Recombiner) -> tuple[str, ...]:
    """List the names of the pictures that an instant model holds: of their files, or their numbers."""
    return network.config.names or tuple(map(str, range(network.config.count)))
