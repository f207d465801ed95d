"""A measurement in progress holds the pictures' features, the settings of figures, and the book of results.

Every file that makes figures works on a `Measurement`; what it cannot make it notes with the reason.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from sase_gan.errors import DataError
from sase_gan.metrics.book import NotApplicable, RecordBook, Setting
from sase_gan.metrics.figures import Figure
from sase_gan.metrics.protocol import Protocol
from sase_gan.metrics.records import ModelPart, Status
from sase_gan.metrics.reference import PictureSet, PreparedReference
from sase_gan.metrics.request import LPIPS_NET, Request

logger = logging.getLogger(__name__)


class Measurement:
    """Generated pictures held against real ones, and all that is found out on the way.

    Args:
        fakes: the generated pictures.
        reference: the real ones.
        protocol: settings.
        request: what to compute.
        model: that made the pictures, if any.

    Attributes:
        book: the figures made so far.
        draws: of the error bars.
        base_setting: what every figure was made of.
    """

    def __init__(
        self,
        fakes: PictureSet,
        reference: PreparedReference,
        protocol: Protocol,
        request: Request,
        model: ModelPart | None = None,
    ) -> None:
        check_sizes(fakes, reference)
        self.fakes = fakes
        self.reference = reference
        self.protocol = protocol
        self.request = request
        self.book = RecordBook()
        self.draws = protocol.bootstrap_draws
        kind = "train" if len(reference) > 1 else "picture"
        self.base_setting = Setting(
            n_real=len(reference),
            n_fake=len(fakes),
            reference_set=f"{kind} {reference.pictures.digest[:16]}",
            image_size=fakes.image_size,
            averaged=model.averaged if model else None,
            truncation=model.truncation if model else None,
        )
        self._features: dict[str, dict[str, Tensor]] = {}

    def setting(self, extractor: str | None = None, layer: str | None = None, **changes: Any) -> Setting:
        """The setting of a figure on a feature network's layer; by default on the one of distances between sets."""
        if extractor is None:
            return replace(self.base_setting, **changes)
        network = self.reference.extractor(extractor)
        facts = {
            "layer": layer or network.pooled_layer,
            "weights_sha256": network.weights_sha256,
            "resize": network.resize,
        }
        return replace(self.base_setting, extractor=extractor, **{**facts, **changes})

    def extract_fakes(self, *, keep: bool) -> None:
        """Describe the generated pictures once, for all that is wanted, in one pass a network."""
        for name in self.request.extractors:
            network = self.reference.extractor(name)
            layers = [network.pooled_layer]
            if network.logits_layer and name != "inception-clean":
                layers.append(network.logits_layer)
            if name == "efflite0":
                layers.append("mid")
            self._features[name] = self._extract(name, layers, keep)
        wants = self.request.wants_group
        if wants("copying"):
            self._features["pixels32"] = self._extract("pixels32", ["pixels"], keep)
        if "efflite0" not in self._features and (wants("copying") or wants("diversity")):
            self._features["efflite0"] = self._extract("efflite0", ["mid"], keep)

    def _extract(self, extractor: str, layers: list[str], keep: bool) -> dict[str, Tensor]:
        reference = self.reference
        return reference.store.features(
            self.fakes.images,
            self.fakes.digest,
            reference.extractor(extractor),
            layers,
            batch_size=reference.batch_size,
            keep=keep,
            progress=reference.progress,
            what="generated pictures",
        )

    def fake_rows(self, extractor: str, layer: str) -> Tensor:
        """Features of the generated pictures, after `extract_fakes`."""
        return self._features[extractor][layer]

    def attempt(self, figures: Sequence[Figure], setting: Setting, compute: Callable[[], None]) -> None:
        """Run `compute`, which notes the figures; if it cannot, note why for each that it has not noted."""
        try:
            compute()
        except NotApplicable as error:
            self._miss(figures, setting, "not_applicable", str(error))
        except (ArithmeticError, RuntimeError, ValueError, IndexError) as error:
            # One figure that fails must not lose the others; the record and the report show the message.
            logger.warning("%s failed: %s", ", ".join(figure.name for figure in figures), error)
            self._miss(figures, setting, "failed", f"{type(error).__name__}: {error}")

    def _miss(self, figures: Sequence[Figure], setting: Setting, status: Status, reason: str) -> None:
        for figure in figures:
            if figure not in self.book:
                self.book.miss(figure, setting, status, reason)

    def skip(self, figure: Figure, weights: str) -> None:
        """Note that a figure, where it is wanted, lacks the weights of a network."""
        if self.request.wants(figure):
            self.book.miss(figure, self.base_setting, "skipped", f"weights missing: {weights}")

    def skip_lpips(self, figure: Figure) -> None:
        """The same for LPIPS."""
        self.skip(figure, f"lpips-{LPIPS_NET}")


def check_sizes(fakes: PictureSet, reference: PreparedReference) -> None:
    """Refuse what cannot be compared.

    Raises:
        DataError: an empty set, or unequal sizes.
    """
    if len(fakes) == 0 or len(reference) == 0:
        raise DataError(
            f"There are {len(fakes)} generated and {len(reference)} real pictures; at least one of each is required."
        )
    if fakes.image_size != reference.pictures.image_size:
        (height, width), (other_height, other_width) = fakes.image_size, reference.pictures.image_size
        raise DataError(
            f"The generated pictures are {width} x {height} and the real ones {other_width} x {other_height}; both "
            "must be prepared at one size."
        )
