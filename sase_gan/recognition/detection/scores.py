"""Average precision of detections by torchmetrics with pycocotools, and drawing what was found."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.transforms.v2.functional import resize
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from sase_gan.errors import DataError
from sase_gan.files import write_atomically
from sase_gan.pixels import write_png
from sase_gan.recognition.detection.coco import CocoSet, coco_results
from sase_gan.recognition.detection.detector import Detector, detect
from sase_gan.sheets import SHEET

_NAMES = {
    "map": "ap",
    "map_50": "ap50",
    "map_75": "ap75",
    "map_small": "ap_small",
    "map_medium": "ap_medium",
    "map_large": "ap_large",
    "mar_100": "ar100",
}
COLOURS = ("#e6550d", "#3182bd", "#31a354", "#756bb1", "#d62728", "#8c6d31", "#e377c2", "#17becf")
DRAWN_PICTURES = 12  # of an evaluation, for its report
DRAWN_SIDE = 480  # smaller pictures are enlarged to about this before they are drawn on


def evaluate_detector(
    model: Detector, data: CocoSet, *, batch_size: int = 4
) -> tuple[dict[str, Any], list[dict[str, Tensor]]]:
    """Score a detector on a set; return the scores and the predictions in the set's order.

    Raises:
        DataError: without pictures, or when its categories are others.
    """
    if data.category_ids != model.config.category_ids:
        raise DataError(
            f"{data.folder} has {len(data.category_ids)} categories that are not the {len(model.config.category_ids)} "
            "of the detector; evaluate on data of the same categories"
        )
    predictions: list[dict[str, Tensor]] = []
    for start in range(0, len(data), batch_size):
        predictions += detect(model, [data.read(i) for i in range(len(data))[start : start + batch_size]])
    targets = [data.target(i, masks=model.config.detector.masks) for i in range(len(data))]
    return detection_scores(predictions, targets, model.config.classes), predictions


def detection_scores(
    predictions: Sequence[dict[str, Tensor]], targets: Sequence[dict[str, Tensor]], classes: Sequence[str]
) -> dict[str, Any]:
    """Compute COCO's average precisions, in 0..1, None where no object of the kind exists.

    Args:
        predictions: as `detect` gives them.
        targets: as `CocoSet.target` gives them, crowds included.
        classes: names of the classes 1, 2, ...

    Returns:
        `box` and, with masks, `mask`, each with `ap` (over overlaps 0.5 to 0.95), `ap50`, `ap75`, `ap_small`,
        `ap_medium`, `ap_large`, `ar100` and `ap_by_class`; `count` and `classes`.

    Raises:
        DataError: without pictures.
    """
    if not targets:
        raise DataError("there are no pictures to score; the test part is empty")
    masks = "masks" in targets[0] and all("masks" in p for p in predictions)
    kinds = {"bbox": "box", "segm": "mask"} if masks else {"bbox": "box"}
    # The thresholds in float64, as pycocotools has them: torchmetrics' own are rounded to float32, and a recall that
    # meets one exactly then falls on its other side.
    overlaps, recalls = np.linspace(0.5, 0.95, 10).tolist(), np.linspace(0.0, 1.0, 101).tolist()
    options: Any = {"iou_type": tuple(kinds), "class_metrics": True, "backend": "pycocotools"}
    metric = MeanAveragePrecision(iou_thresholds=overlaps, rec_thresholds=recalls, **options)
    # Many detections a picture are cut to COCO's 100 anyway; the warning about it is not the user's doing.
    metric.warn_on_many_detections = False
    metric.update(list(predictions), [{k: v for k, v in t.items() if k != "image_id"} for t in targets])
    values = metric.compute()
    scores: dict[str, Any] = {"count": len(targets), "classes": list(classes)}
    known = [int(i) for i in values["classes"].reshape(-1)]
    for kind, word in kinds.items():
        prefix = f"{kind}_" if len(kinds) > 1 else ""
        part: dict[str, Any] = {ours: _known(values[prefix + theirs]) for theirs, ours in _NAMES.items()}
        by_class = values[f"{prefix}map_per_class"].reshape(-1)
        part["ap_by_class"] = {classes[c - 1]: _known(v) for c, v in zip(known, by_class, strict=True)}
        scores[word] = part
    return scores


def _known(value: Tensor) -> float | None:
    # pycocotools says -1 where there was nothing to find.
    return None if value < 0 else float(value)


def write_detections(
    model: Detector, data: CocoSet, scores: dict[str, Any], predictions: Sequence[dict[str, Tensor]], folder: Path
) -> None:
    """Write `detection.json`, `results.json` in COCO's result format, and the first pictures with what was found."""
    for name, content in (("detection.json", scores), ("results.json", coco_results(data, predictions))):
        with write_atomically(folder / name) as path:
            path.write_text(json.dumps(content))
    for index in range(min(DRAWN_PICTURES, len(data))):
        drawn = draw_detections(data.read(index), predictions[index], model.config.classes)
        write_png(folder / "drawn" / f"{Path(data.images[index]['file_name']).stem}.png", drawn, SHEET)


def scores_in_words(scores: dict[str, Any]) -> str:
    """Summarise scores in a line."""
    parts = [
        f"{word} AP {scores[word]['ap'] or 0:.3f}, AP50 {scores[word]['ap50'] or 0:.3f}"
        for word in ("box", "mask")
        if word in scores
    ]
    return f"{scores['count']} test pictures: {'; '.join(parts)}"


def listed_objects(
    prediction: dict[str, Tensor], classes: Sequence[str], *, threshold: float = 0.5
) -> list[dict[str, Any]]:
    """List what was found on a picture, best first: `class`, `score` and `box` of each object."""
    found = zip(*(prediction[name].tolist() for name in ("labels", "scores", "boxes")), strict=True)
    return [
        {"class": classes[label - 1], "score": score, "box": box} for label, score, box in found if score >= threshold
    ]


def draw_detections(
    image: Tensor, prediction: dict[str, Tensor], classes: Sequence[str], *, threshold: float = 0.5
) -> Tensor:
    """Draw boxes, names, scores and masks on a uint8 picture [3, H, W]; small pictures are enlarged first.

    Args:
        prediction: as `detect` gives it; targets of a `CocoSet`, without scores, work too.
        threshold: least score that is drawn.
    """
    scores = prediction.get("scores", torch.ones(len(prediction["labels"])))
    kept = scores >= threshold
    factor = max(1, round(DRAWN_SIDE / max(image.shape[-2:])))
    image = resize(image, [factor * side for side in image.shape[-2:]])
    labels = prediction["labels"][kept].tolist()
    if not labels:
        return image
    colours = [COLOURS[(label - 1) % len(COLOURS)] for label in labels]
    if "masks" in prediction:
        masks = prediction["masks"][kept].repeat_interleave(factor, 1).repeat_interleave(factor, 2)
        image = draw_segmentation_masks(image, masks, alpha=0.45, colors=colours)
    words = [
        classes[label - 1] + (f" {score:.2f}" if "scores" in prediction else "")
        for label, score in zip(labels, scores[kept].tolist(), strict=True)
    ]
    boxes, font = prediction["boxes"][kept] * factor, str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
    size = max(14, min(image.shape[-2:]) // 28)
    return draw_bounding_boxes(
        image, boxes, words, colors=colours, width=3, font=font, font_size=size, fill_labels=True
    )
