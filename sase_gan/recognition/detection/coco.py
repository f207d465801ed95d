"""Detection data in COCO's format: pictures, boxes, masks, categories."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.ops import box_convert
from torchvision.transforms.v2 import functional as v2
from torchvision.tv_tensors import BoundingBoxFormat

from sase_gan.errors import DataError
from sase_gan.pixels import read_image
from sase_gan.recognition.settings import Part
from sase_gan.seeds import generator

Target = dict[str, Tensor]


@dataclass(frozen=True)
class CocoSet:
    """Pictures with objects.

    Attributes:
        images: COCO's records, by id: `id`, `file_name`, `width`, `height`.
        annotations: COCO's records of each image id.
        category_ids: COCO's of `classes`, ascending; the network's class i is `category_ids[i - 1]`, 0 the background.
    """

    folder: Path
    images: tuple[dict[str, Any], ...]
    annotations: dict[int, list[dict[str, Any]]]
    category_ids: tuple[int, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> Tensor:
        """Read picture `index` as uint8 [3, H, W].

        Raises:
            DataError: when it is missing, broken or of another size than recorded.
        """
        record = self.images[index]
        path, size = self.folder / record["file_name"], (record["height"], record["width"])
        image = read_image(path)
        if tuple(image.shape[1:]) != size:
            raise DataError(
                f"{path} is {image.shape[2]}x{image.shape[1]} where its record says {size[1]}x{size[0]}; "
                "the annotations belong to other pictures"
            )
        return image

    def target(self, index: int, *, masks: bool = True) -> Target:
        """Describe what picture `index` shows.

        Returns:
            `boxes` float [N, 4] as x1, y1, x2, y2; `labels` int64 [N] from 1; `iscrowd` [N]; `area` [N]; `image_id`;
            with `masks` also `masks` bool [N, H, W]. Without objects N is 0.
        """
        record = self.images[index]
        size = record["height"], record["width"]
        objects = self.annotations.get(record["id"], [])
        boxes = torch.tensor([o["bbox"] for o in objects], dtype=torch.float32).reshape(-1, 4)
        labels = [self.category_ids.index(o["category_id"]) + 1 for o in objects]
        target = {
            "boxes": box_convert(boxes, "xywh", "xyxy"),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "iscrowd": torch.tensor([o.get("iscrowd", 0) for o in objects], dtype=torch.int64),
            "area": torch.tensor([o.get("area", 0.0) for o in objects], dtype=torch.float32),
            "image_id": torch.tensor(record["id"]),
        }
        if masks:
            rasters = [torch.from_numpy(decode_mask(o["segmentation"], *size)) for o in objects]
            target["masks"] = torch.stack(rasters) if rasters else torch.zeros(0, *size, dtype=torch.bool)
        return target


def decode_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Draw polygons, run lengths or compressed run lengths of COCO as a bool array [height, width]."""
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, height, width)
    return np.asarray(coco_mask.decode(segmentation), dtype=bool)


def open_coco(path: Path | str, part: Part) -> CocoSet:
    """Open a part of a data set in COCO's format.

    Args:
        path: a folder with PART.json and the pictures in PART/, or COCO's own: annotations/instances_PART2017.json and
            PART2017/, where "test" is COCO's val.

    Raises:
        DataError: when the files are missing or not of that format.
    """
    root = Path(path)
    official = "train2017" if part == "train" else "val2017"
    for name, folder in ((f"{part}.json", part), (f"annotations/instances_{official}.json", official)):
        if (root / name).is_file():
            return _parse(root / name, root / folder)
    raise DataError(
        f"{root} has neither {part}.json nor annotations/instances_{official}.json; give a COCO-format folder"
    )


def _parse(path: Path, folder: Path) -> CocoSet:
    try:
        content = json.loads(path.read_text())
        images = sorted(content["images"], key=lambda record: record["id"])
        categories = sorted(content["categories"], key=lambda record: record["id"])
        by_image = defaultdict(list)
        for annotation in content["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        ids = tuple(c["id"] for c in categories)
        strays = {a["category_id"] for a in content["annotations"]} - set(ids)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not in COCO's format ({type(error).__name__}: {error})") from error
    if strays:
        raise DataError(f"{path} has objects of category {min(strays)}, which is not among its categories")
    if not images or not categories:
        raise DataError(
            f"{path} has {len(images)} pictures and {len(categories)} categories; at least one of each is needed"
        )
    for name in (record["file_name"] for record in images):
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{path} names the picture {name!r}, which is outside of {folder}")
    return CocoSet(folder, tuple(images), dict(by_image), ids, tuple(str(c["name"]) for c in categories))


def without_crowds(target: Target) -> Target:
    """Reduce a target to what training takes: no crowd regions, and no boxes without width or height."""
    boxes = target["boxes"]
    kept = (target["iscrowd"] == 0) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return {name: value if name == "image_id" else value[kept] for name, value in target.items()}


def flipped(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Mirror picture [3, H, W], boxes and masks left to right."""
    height, width = image.shape[-2:]
    boxes = v2.horizontal_flip_bounding_boxes(target["boxes"], BoundingBoxFormat.XYXY, (height, width))
    masks = {"masks": v2.horizontal_flip_mask(target["masks"])} if "masks" in target else {}
    return v2.horizontal_flip_image(image), {**target, "boxes": boxes, **masks}


class DetectionPictures(Dataset[tuple[Tensor, Target]]):
    """Training pictures, uint8 [3, H, W] of their own sizes, and their targets.

    Crowds are left out. A key is `epoch * len + index`; `flip` mirrors half of the pictures.
    """

    def __init__(self, data: CocoSet, *, masks: bool, flip: bool = False, seed: int = 0) -> None:
        self.data, self.masks, self.flip, self.seed = data, masks, flip, seed

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: int) -> tuple[Tensor, Target]:
        """Read the picture of a key."""
        epoch, index = divmod(key, len(self.data))
        image, target = self.data.read(index), without_crowds(self.data.target(index, masks=self.masks))
        if self.flip and torch.rand((), generator=generator("flip", self.seed, epoch, index)) < 0.5:
            image, target = flipped(image, target)
        return image, target


def collate(items: Iterable[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    """Make lists instead of stacks: pictures and numbers of objects differ in size."""
    images, targets = zip(*items, strict=True)
    return list(images), list(targets)


def coco_results(data: CocoSet, predictions: Iterable[dict[str, Tensor]]) -> list[dict[str, Any]]:
    """Write predictions of every picture in order as COCO's records: its category ids, boxes as x, y, w, h."""
    results = []
    for record, prediction in zip(data.images, predictions, strict=True):
        boxes = box_convert(prediction["boxes"].double(), "xyxy", "xywh").tolist()
        found = zip(boxes, prediction["labels"].tolist(), prediction["scores"].tolist(), strict=True)
        for number, (box, label, score) in enumerate(found):
            entry = {"image_id": record["id"], "category_id": data.category_ids[label - 1], "bbox": box, "score": score}
            if "masks" in prediction:
                region = coco_mask.encode(np.asfortranarray(prediction["masks"][number].numpy().astype(np.uint8)))
                entry["segmentation"] = {"size": region["size"], "counts": region["counts"].decode()}
            results.append(entry)
    return results
