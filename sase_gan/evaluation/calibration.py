"""Calibration shows how the figures of an evaluation move under disturbances that are made on purpose.

Two questions. `ladder`: a random half of the real pictures plays the training set, and the other half, as it is and
disturbed, the generated pictures; then copies of the training half do. Quality, diversity and copying should each move
with the disturbance that concerns them. `calibrate`: do the constants of the copying verdict hold on a set, that is,
are copies of it red and its own held-out halves green?
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sase_gan.evaluation.pictures import resized
from sase_gan.metrics.catalogue import METRICS, SPACES, Space
from sase_gan.metrics.feature_store import FeatureStore
from sase_gan.metrics.fidelity import reference_halves
from sase_gan.metrics.figures import figure
from sase_gan.metrics.originality import baseline_of, check_copying
from sase_gan.metrics.records import Colour, EvaluationRecord
from sase_gan.metrics.reference import LAYERS_OF_SPACES, PictureSet, PreparedReference
from sase_gan.metrics.request import Protocol
from sase_gan.metrics.suite import evaluate
from sase_gan.metrics.verdicts import CopyScores, HonestBaseline, joint_verdict
from sase_gan.seeds import generator

CALIBRATION_SPLITS = 50
COLOURS: tuple[Colour, ...] = ("green", "amber", "red")

Change = Callable[[Tensor], Tensor]
"""From pictures uint8 [N, 3, H, W] to disturbed ones."""


def blurred(images: Tensor, factor: float) -> Tensor:
    """Blur: through a picture that is smaller by `factor`, and back."""
    height, width = images.shape[-2:]
    return resized(resized(images, max(1, round(height / factor)), max(1, round(width / factor))), height, width)


def compressed(images: Tensor, quality: int) -> Tensor:
    """Pass pictures through JPEG of this quality."""
    out = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
        out.append(torch.from_numpy(np.array(Image.open(buffer).convert("RGB"))).permute(2, 0, 1))
    return torch.stack(out)


def noisy(images: Tensor, levels: float) -> Tensor:
    """Add Gaussian noise of this deviation in levels of 256."""
    noise = torch.randn(images.shape, generator=generator(0, "bench noise"))
    return (images + levels * noise).round().clamp(0, 255).to(torch.uint8)


def shifted(images: Tensor, share: float) -> Tensor:
    """Move pictures down and right by a share of the sides, the border repeated."""
    height, width = images.shape[-2:]
    down, right = round(share * height), round(share * width)
    return F.pad(images.float(), (right, 0, down, 0), mode="replicate")[..., :height, :width].to(torch.uint8)


def zoomed(images: Tensor, share: float) -> Tensor:
    """Enlarge the middle of the pictures, this share of the sides."""
    height, width = images.shape[-2:]
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    return resized(images[..., top : height - top, left : width - left], height, width)


def brightened(images: Tensor, factor: float) -> Tensor:
    """Multiply all values by `factor`."""
    return (images * factor).round().clamp(0, 255).to(torch.uint8)


def blended(images: Tensor) -> Tensor:
    """Mix each picture half and half with the next."""
    return ((images.int() + images.roll(1, 0).int()) // 2).to(torch.uint8)


def few_kinds(images: Tensor, share: float) -> Tensor:
    """Give as many pictures, of only a share of the kinds: those, repeated with a little noise."""
    kept = images[: max(1, round(share * len(images)))]
    repeats = -(-len(images) // len(kept))
    return noisy(kept.repeat(repeats, 1, 1, 1)[: len(images)], 2)


NEW_PICTURES: Mapping[str, Change] = {
    "held-out half, as it is": lambda images: images,
    "held-out, blurred through 1/2": lambda images: blurred(images, 2),
    "held-out, blurred through 1/4": lambda images: blurred(images, 4),
    "held-out, JPEG quality 50": lambda images: compressed(images, 50),
    "held-out, JPEG quality 10": lambda images: compressed(images, 10),
    "held-out, noise of 8 levels": lambda images: noisy(images, 8),
    "held-out, noise of 32 levels": lambda images: noisy(images, 32),
    "held-out, half of the kinds": lambda images: few_kinds(images, 0.5),
    "held-out, a tenth of the kinds": lambda images: few_kinds(images, 0.1),
}
COPIES: Mapping[str, Change] = {
    "exact copies": lambda images: images.clone(),
    "mirrored copies": lambda images: images.flip(-1),
    "shifted copies (1/16)": lambda images: shifted(images, 1 / 16),
    "mirrored and shifted copies": lambda images: shifted(images.flip(-1), 1 / 16),
    "copies, JPEG quality 50": lambda images: compressed(images, 50),
    "copies, blurred through 1/4": lambda images: blurred(images, 4),
    "copies, noise of 20 levels": lambda images: noisy(images, 20),
    "copies, brighter by 1.2": lambda images: brightened(images, 1.2),
    "blends of two": blended,
    "copies, middle 80 %": lambda images: zoomed(images, 0.8),
}
MUST_BE_RED = ("exact copies", "mirrored copies", "shifted copies (1/16)", "mirrored and shifted copies")


@dataclass(frozen=True)
class Rung:
    """A rung is one disturbance and the record of its evaluation."""

    name: str
    record: EvaluationRecord


def ladder(images: Tensor, *, seed: int = 0, cache: FeatureStore | None = None) -> Iterator[Rung]:
    """Evaluate disturbed held-out pictures, then copies, against one half of the pictures.

    Args:
        images: real pictures uint8 [N, 3, H, W]; 40 at least, so that there are verdicts.
        seed: which of the random halves.
        cache: of features.
    """
    train, held_out = reference_halves(len(images), seed + 1)[seed]
    reference = PreparedReference(images[train], store=cache)
    protocol = Protocol().changed(num_fakes=len(held_out))
    for source, changes in ((images[held_out], NEW_PICTURES), (images[train], COPIES)):
        for name, change in changes.items():
            yield Rung(name, evaluate(change(source), reference, protocol, keep_fakes=True, regions=False).record)
    half = torch.cat([images[train][: len(train) // 2], images[held_out][len(train) // 2 :]])
    yield Rung(
        "half exact copies, half held-out", evaluate(half, reference, protocol, keep_fakes=True, regions=False).record
    )


@dataclass(frozen=True)
class Calibration:
    """What copies of a whole set, disturbed as `name` says, score in one space; the colour is the joint verdict."""

    name: str
    space: Space
    scores: CopyScores
    colour: str


@dataclass(frozen=True)
class HonestCalibration:
    """What held-out halves of a set score in one space, and the share of splits of each joint colour."""

    space: Space
    baseline: HonestBaseline
    colours: Mapping[Colour, float]


def calibrate(
    images: Tensor, *, cache: FeatureStore | None = None
) -> tuple[list[HonestCalibration], list[Calibration]]:
    """Honest halves of a set, and all kinds of copies of all of it, judged as `evaluate` judges them.

    Args:
        images, cache: as of `ladder`.
    """
    reference = PreparedReference(images, store=cache)
    honest = _honest(reference)
    found = []
    for name, change in COPIES.items():
        fakes = PictureSet(change(reference.pictures.images))
        results = {}
        for space in SPACES:
            extractor, layer, _ = LAYERS_OF_SPACES[space]
            rows = reference.describe(fakes, extractor, [layer])[layer]
            results[space] = check_copying(rows, reference.copying(space), space=space, draws=2)
        colour = joint_verdict([result.verdict for result in results.values()]).colour
        found += [Calibration(name, space, result.scores, colour) for space, result in results.items()]
    return honest, found


def _honest(reference: PreparedReference) -> list[HonestCalibration]:
    halves = reference_halves(len(reference), CALIBRATION_SPLITS)
    judged = {}
    for space in SPACES:
        copying = reference.copying(space)
        judged[space] = [copying.judge_held_out(held_out, train, space) for held_out, train in halves]
    splits = zip(*judged.values(), strict=True)
    joint = [joint_verdict([verdict for _, verdict in split]).colour for split in splits]
    shares = {colour: joint.count(colour) / len(joint) for colour in COLOURS}
    return [
        HonestCalibration(space, baseline_of([scores for scores, _ in found]), shares)
        for space, found in judged.items()
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def ladder_table(rungs: Sequence[Rung]) -> str:
    """Write the ladder as Markdown: a row a disturbance, a column a figure, and the three verdicts."""
    rows, columns = [], _ladder_columns()
    for rung in rungs:
        colours = [rung.record.colour(topic) for topic in ("copying", "quality", "diversity")]
        cells = [_cell(rung.record.value(name)) for name in columns]
        rows.append([rung.name, *colours, *cells])
    return table(["generated pictures", "copying", "quality", "variety", *columns.values()], rows)


def _ladder_columns() -> dict[str, str]:
    """Headings by name; of figures on several networks those on our own."""
    shown = [metric for metric in METRICS if metric.in_ladder]
    own = {metric.base: "efflite0" if "efflite0" in metric.networks else None for metric in shown}
    return {figure(metric.base, own[metric.base]).name: str(metric.in_ladder) for metric in shown}


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def calibration_table(honest: Sequence[HonestCalibration], copies: Sequence[Calibration]) -> str:
    """AuthPct / nn_ratio / copy_share in both spaces and the joint verdict, as Markdown."""
    by_name: dict[str, dict[str, str]] = {}
    for item in copies:
        row = by_name.setdefault(item.name, {"verdict": item.colour})
        row[item.space] = f"{item.scores.authpct:.0f} / {item.scores.nn_ratio:.2f} / {item.scores.copy_share:.2f}"
    cells = [_honest_cell(item.baseline.mean, item.baseline.std) for item in honest]
    verdict = ", ".join(f"{share:.1%} {colour}" for colour, share in honest[0].colours.items() if share)
    rows = [[f"honest halves, {CALIBRATION_SPLITS} splits", *cells, verdict]]
    rows += [[name, *(row[space] for space in SPACES), row["verdict"]] for name, row in by_name.items()]
    return table(["generated pictures", *(f"{space}: AuthPct / nn / share" for space in SPACES), "verdict"], rows)


def _honest_cell(mean: CopyScores, std: CopyScores) -> str:
    authentic = f"{mean.authpct:.0f}±{std.authpct:.0f}"
    return f"{authentic} / {mean.nn_ratio:.2f}±{std.nn_ratio:.2f} / {mean.copy_share:.2f}±{std.copy_share:.2f}"
