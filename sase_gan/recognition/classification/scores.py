"""Scores of a classifier and their files: accuracies, confusion, calibration."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.recognition.classification.classifier import Classifier, predict_logits
from sase_gan.recognition.classification.data import EvaluationPictures, LabelledSet

NUM_BINS = 15
"""Confidence bins of the calibration error, the usual number since Guo et al. 2017 (arXiv 1706.04599)."""


def evaluate_classifier(
    model: Classifier, data: LabelledSet, *, batch_size: int = 64, workers: int = 0
) -> dict[str, Any]:
    """Score a classifier on a set with the same classes: see `classification_scores`.

    Raises:
        DataError: when its classes are others.
    """
    classes = model.config.classes
    if data.classes != classes:
        raise DataError(
            f"the data have the classes {_few(data.classes)} where the classifier knows {_few(classes)}; "
            "evaluate on data of the same classes"
        )
    pictures = EvaluationPictures(data, model.config.pictures, channels=model.config.channels)
    batches = DataLoader(pictures, batch_size=batch_size, num_workers=workers)
    return classification_scores(predict_logits(model, (images for images, _ in batches)), data.labels, classes)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def classification_scores(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Score logits [N, K] against labels [N].

    Returns:
        Shares in 0..1: `top1`, `top5` (where there are more than 5 classes), `mean_class_accuracy`; `loss` in nats;
        `calibration_error`, the expected one over 15 bins of confidence; `calibration` with each bin's count, mean
        confidence and accuracy; `confusion` [true][predicted] counts; `count` and `classes`.

    Raises:
        DataError: without pictures.
    """
    if len(labels) == 0:
        raise DataError("there are no pictures to score; the test part is empty")
    num = len(classes)
    probabilities = logits.double().softmax(1)
    confidence, predicted = probabilities.max(1)
    right = (predicted == labels).double()
    bins = _calibration_bins(confidence, right)
    confusion = multiclass_confusion_matrix(predicted, labels, num_classes=num)
    present = confusion.sum(1) > 0
    recall = confusion.diagonal()[present] / confusion.sum(1)[present]
    scores: dict[str, Any] = {
        "count": len(labels),
        "top1": float(right.mean()),
        "mean_class_accuracy": float(recall.double().mean()),
        "loss": float(torch.nn.functional.cross_entropy(logits.double(), labels)),
        "calibration_error": sum(b["count"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / len(labels),
        "calibration": bins,
        "confusion": confusion.tolist(),
        "classes": list(classes),
    }
    if num > 5:
        scores["top5"] = float(multiclass_accuracy(logits.double(), labels, num_classes=num, top_k=5, average="micro"))
    return scores


def _calibration_bins(confidence: Tensor, right: Tensor) -> list[dict[str, float]]:
    """Describe each non-empty bin of confidence ((0, 1/15], ...): upper edge, count, mean confidence, accuracy."""
    index = (confidence * NUM_BINS).ceil().long().clamp(1, NUM_BINS) - 1
    return [
        {
            "upper": (number + 1) / NUM_BINS,
            "count": int(inside.sum()),
            "confidence": float(confidence[inside].mean()),
            "accuracy": float(right[inside].double().mean()),
        }
        for number in range(NUM_BINS)
        if (inside := index == number).any()
    ]


def write_scores(scores: dict[str, Any], folder: Path) -> None:
    """Write `classification.json` and `confusion.csv` (rows: true classes) into `folder`."""
    with write_atomically(folder / "classification.json") as path:
        path.write_text(json.dumps(scores, indent=1))
    _write_csv(folder / "confusion.csv", "true \\ predicted", scores["classes"], scores["classes"], scores["confusion"])


def write_probabilities(names: Sequence[str], probabilities: Tensor, classes: Sequence[str], path: Path) -> None:
    """Write the class probabilities [N, K] of named pictures to a CSV file."""
    _write_csv(path, "picture", classes, names, probabilities.tolist())


def _write_csv(
    path: Path, corner: str, columns: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[float]]
) -> None:
    with write_atomically(path) as temporary, temporary.open("w", newline="") as file:
        lines = ([name, *row] for name, row in zip(names, rows, strict=True))
        csv.writer(file).writerows([[corner, *columns], *lines])


def scores_in_words(scores: dict[str, Any]) -> str:
    """Summarise scores in a line."""
    top5 = f", top-5 {100 * scores['top5']:.2f} %" if "top5" in scores else ""
    return (
        f"{scores['count']} held-out pictures: top-1 {100 * scores['top1']:.2f} %{top5}, loss {scores['loss']:.4f}, "
        f"calibration error {scores['calibration_error']:.4f}"
    )
