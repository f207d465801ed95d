"""A measurement in progress holds the pictures' features, the settings of figures and the book; an evaluation ends it.

Every file that makes figures works on a `Measurement`; what it cannot make it notes with the reason.
"""

import datetime
import logging
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

import sase_gan
from sase_gan.errors import DataError
from sase_gan.features.lpips import LpipsNetwork, lpips_network
from sase_gan.metrics.book import NotApplicable, RecordBook, Setting
from sase_gan.metrics.extractors import POOLED_ONLY
from sase_gan.metrics.figures import Figure
from sase_gan.metrics.records import (
    PATCHWORK,
    SCHEMA_VERSION,
    VERDICT_TOPICS,
    CopyPair,
    DataPart,
    EvaluationRecord,
    FakesPart,
    ModelPart,
    Pictures,
    Status,
    VerdictRule,
)
from sase_gan.metrics.reference import PictureSet, PreparedReference
from sase_gan.metrics.region_search import Explained
from sase_gan.metrics.request import LPIPS_NET, NOISE_IN_TRAINING_MODE, Protocol, Request, resolve
from sase_gan.metrics.verdicts import Verdict

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CopyMatch:
    """A match is a generated picture with its two nearest real ones: indices into the sets as given, and facts."""

    fake: int
    nearest: int
    second: int
    facts: CopyPair


@dataclass(frozen=True)
class Ranked:
    """A generated picture, by its index, and how far it is from the real ones around it."""

    fake: int
    distance: float


@dataclass(frozen=True)
class RegionMatch:
    """A generated picture, by its index, with what training pictures explain of it.

    Attributes:
        sources: index into the real pictures as given of each region's training picture.
    """

    fake: int
    explained: Explained
    sources: Sequence[int]


@dataclass(frozen=True)
class Evaluation:
    """An evaluation is a record, and which pictures a report should show.

    Attributes:
        record: complete but for its pictures, which are known when files are written.
        copying: the most suspicious generated pictures, first the worst.
        typical: generated pictures nearest to the real ones.
        atypical: those farthest from them.
        regions: those put together from training pictures most, first the worst.
    """

    record: EvaluationRecord
    copying: Sequence[CopyMatch] = ()
    typical: Sequence[Ranked] = ()
    atypical: Sequence[Ranked] = ()
    regions: Sequence[RegionMatch] = ()


@dataclass(frozen=True)
class Provenance:
    """What the record says beside the figures; all of it is the caller's knowledge.

    Args:
        command: to repeat the evaluation.
        data: of the real pictures; number, size and digest are filled in.
        fakes: of the generated ones; likewise.
        model: of the snapshot, or None.
        notes: what a reader should know about the pictures' files.
    """

    command: str = ""
    data: DataPart = field(default_factory=DataPart)
    fakes: FakesPart = field(default_factory=FakesPart)
    model: ModelPart | None = None
    notes: Sequence[str] = ()


class Measurement:
    """A measurement holds generated pictures against real ones and keeps what it finds out on the way.

    Args:
        fakes: the generated pictures, uint8 [F, 3, H, W].
        reference: the real ones.
        protocol: settings; "quick" by default.
        request: what to compute; by default all that the protocol names.
        fake_names: one a generated picture.
        model: that made the pictures, if any.

    Attributes:
        book: the figures made so far.
        draws: of the error bars.
        base_setting: what every figure was made of.

    Raises:
        DataError: an empty set, or unequal sizes.
        WeightsError: with `request` left out, when the protocol needs files that are missing.
    """

    def __init__(
        self,
        fakes: Tensor,
        reference: PreparedReference,
        protocol: Protocol | None,
        request: Request | None,
        fake_names: Sequence[str] | None,
        model: ModelPart | None = None,
    ) -> None:
        self.protocol = protocol or Protocol()
        self.request = request or resolve(self.protocol, weights_dir=reference.weights_dir)
        self.started = time.monotonic()
        self.fakes = PictureSet(fakes, fake_names)
        self.reference = reference
        _check_sizes(self.fakes, reference.pictures)
        self.book = RecordBook()
        self.draws = self.protocol.bootstrap_draws
        kind = "train" if len(reference) > 1 else "picture"
        self.base_setting = Setting(
            n_real=len(reference),
            n_fake=len(fakes),
            reference_set=f"{kind} {reference.pictures.digest[:16]}",
            image_size=self.fakes.image_size,
            averaged=model.averaged if model else None,
            truncation=_truncation(model),
        )
        self._features: dict[str, dict[str, Tensor]] = {}

    @cached_property
    def lpips(self) -> LpipsNetwork:
        """The network of LPIPS, whose weights must be there."""
        return lpips_network(LPIPS_NET, self.reference.weights_dir, device=self.reference.device)

    @cached_property
    def nearest_reals(self) -> Tensor:
        """For each generated picture the index of its nearest real one, mid-level; one index is one cluster."""
        fakes, reals = self.fake_rows("efflite0", "mid"), self.reference.features("efflite0", ["mid"])["mid"]
        return torch.cdist(fakes.double(), reals.double()).argmin(1)

    def setting(self, extractor: str | None = None, layer: str | None = None, **changes: Any) -> Setting:
        """Settle what a figure on a network's layer is made of; by default the layer of distances between sets."""
        if extractor is None:
            return replace(self.base_setting, **changes)
        network = self.reference.extractor(extractor)
        facts = {"weights_sha256": network.weights_sha256, "resize": network.resize, **changes}
        return replace(self.base_setting, extractor=extractor, layer=layer or network.pooled_layer, **facts)

    def extract_fakes(self, *, keep: bool) -> None:
        """Describe the generated pictures once, for all that is wanted, in one pass a network."""
        layers: dict[str, list[str]] = {}
        for name in self.request.extractors:
            network = self.reference.extractor(name)
            layers[name] = [network.pooled_layer]
            if network.logits_layer and name not in POOLED_ONLY:
                layers[name].append(network.logits_layer)
            if name == "efflite0":
                layers[name].append("mid")
        copying = self.request.wants_group("copying")
        if copying:
            layers["pixels32"] = ["pixels"]
        if copying or self.request.wants_group("diversity"):
            layers.setdefault("efflite0", ["mid"])
        for name, asked in layers.items():
            found = self.reference.describe(self.fakes, name, asked, keep=keep, what="generated pictures")
            self._features[name] = found

    def fake_rows(self, extractor: str, layer: str) -> Tensor:
        """Give features of the generated pictures, after `extract_fakes`."""
        return self._features[extractor][layer]

    @contextmanager
    def attempt(self, *figures: Figure, setting: Setting) -> Iterator[None]:
        """Note why for each of the figures that the block has not noted, if it cannot make them."""
        try:
            yield
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

    def skip(self, figure: Figure, weights: str = f"lpips-{LPIPS_NET}") -> None:
        """Note that a figure, where it is wanted, lacks the weights of a network."""
        if self.request.wants(figure):
            self.book.miss(figure, self.base_setting, "skipped", f"weights missing: {weights}")

    def record(
        self, provenance: Provenance, verdicts: Sequence[Verdict], patchwork: Verdict | None = None, **more: Any
    ) -> EvaluationRecord:
        """Make the record: versions, what was measured, the figures of the book, and the verdicts by their topics."""
        data = {"name": "reals", "path_name": None, "licence": None, "mirror": False, "jpeg_sources": 0, "holdout": 0}
        real = data | provenance.data.model_dump(exclude_unset=True) | _facts(self.reference.pictures)
        generated = {"source": "folder", "name": "fakes"} | provenance.fakes.model_dump(exclude_unset=True)
        judged = dict(zip(VERDICT_TOPICS, verdicts, strict=True))
        if patchwork is not None:
            judged[PATCHWORK] = patchwork
        rules = {key: VerdictRule(rule=one.rule, number=one.number, text=one.text) for key, one in judged.items()}
        empty: dict[str, Any] = {"timing": {}, "disagreement": None, "histograms": {}, "curves": None}
        return EvaluationRecord(
            schema_version=SCHEMA_VERSION,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self.started, 3),
            command=provenance.command,
            protocol=self.protocol.to_record(),
            versions=_versions(),
            device=str(self.reference.device),
            precision="fp32",
            data=DataPart.model_validate(real),
            fakes=FakesPart.model_validate(generated | _facts(self.fakes)),
            model=provenance.model,
            metrics=self.book.metrics,
            verdict={topic: verdict.colour for topic, verdict in judged.items()},
            verdict_rules=rules,
            notes=tuple(provenance.notes),
            pictures=Pictures(),
            **(empty | more),
        )


def _facts(pictures: PictureSet) -> dict[str, Any]:
    return {"digest": pictures.digest, "n": len(pictures), "image_size": pictures.image_size}


def _check_sizes(fakes: PictureSet, reals: PictureSet) -> None:
    if len(fakes) == 0 or len(reals) == 0:
        raise DataError(
            f"There are {len(fakes)} generated and {len(reals)} real pictures; at least one of each is required."
        )
    if fakes.image_size != reals.image_size:
        (height, width), (other_height, other_width) = fakes.image_size, reals.image_size
        raise DataError(
            f"The generated pictures are {width} x {height} and the real ones {other_width} x {other_height}; both "
            "must be prepared at one size."
        )


def _versions() -> dict[str, str | None]:
    """The versions of everything that makes figures."""
    found: dict[str, str | None] = {"sase_gan": sase_gan.__version__, "commit": None}
    found["python"] = platform.python_version()
    for package in ("torch", "torchvision", "torch_fidelity", "lpips", "timm"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _truncation(model: ModelPart | None) -> float | str | None:
    """Tell the truncation apart from that of version 0.1, which multiplied latents and drew less typical pictures.

    And pictures drawn in training mode from those drawn one by one.
    """
    truncation = model.truncation if model else None
    if model is not None and model.noise == NOISE_IN_TRAINING_MODE:
        return f"{truncation} in training mode"
    return truncation if truncation in (None, 1.0) else f"{truncation} of the first map"
