"""COCO-format data: what is read, mapped and refused; the bundled shapes."""

import json

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from sase_gan.errors import DataError
from sase_gan.pixels import write_png
from sase_gan.recognition.detection.coco import (
    DetectionPictures,
    coco_results,
    collate,
    decode_mask,
    flipped,
    open_coco,
    without_crowds,
)


def square(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def thing(number, category, box, segmentation, iscrowd=0):
    shared = {"id": number, "image_id": 10, "category_id": category, "area": box[2] * box[3]}
    return {**shared, "bbox": box, "segmentation": segmentation, "iscrowd": iscrowd}


@pytest.fixture
def small(tmp_path):
    """Two pictures of 8 x 6; categories 3 and 9; a crowd as run lengths; one picture without objects."""
    for name in ("a.png", "b.png"):
        write_png(tmp_path / "train" / name, torch.zeros(3, 6, 8, dtype=torch.uint8))
    content = {
        "categories": [{"id": 9, "name": "late"}, {"id": 3, "name": "early"}],
        "images": [
            {"id": 20, "file_name": "b.png", "width": 8, "height": 6},
            {"id": 10, "file_name": "a.png", "width": 8, "height": 6},
        ],
        "annotations": [
            thing(1, 9, [1, 2, 3, 2], square(1, 2, 3, 2)),
            thing(2, 3, [0, 0, 1, 6], {"size": [6, 8], "counts": [0, 6, 42]}, iscrowd=1),
            thing(3, 3, [4, 4, 0, 1], square(4, 4, 0.1, 1)),
        ],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    return tmp_path


def test_boxes_labels_and_masks(small):
    data = open_coco(small, "train")
    assert [record["id"] for record in data.images] == [10, 20]
    assert (data.category_ids, data.classes) == ((3, 9), ("early", "late"))
    target = data.target(0)
    assert target["boxes"].tolist() == [[1, 2, 4, 4], [0, 0, 1, 6], [4, 4, 4, 5]]
    assert target["labels"].tolist() == [2, 1, 1]
    assert target["iscrowd"].tolist() == [0, 1, 0]
    expected = torch.zeros(6, 8, dtype=torch.bool)
    expected[2:4, 1:4] = True
    assert torch.equal(target["masks"][0], expected)
    assert target["masks"][1, :, 0].all()
    assert not target["masks"][1, :, 1:].any()


def test_pictures_without_objects_keep_empty_boxes(small):
    target = open_coco(small, "train").target(1)
    assert target["boxes"].shape == (0, 4)
    assert target["masks"].shape == (0, 6, 8)
    assert "masks" not in open_coco(small, "train").target(1, masks=False)


def test_training_leaves_out_crowds_and_boxes_without_area(small):
    kept = without_crowds(open_coco(small, "train").target(0))
    assert kept["labels"].tolist() == [2]
    assert kept["masks"].shape == (1, 6, 8)


def test_compressed_run_lengths():
    region = np.zeros((6, 8), np.uint8)
    region[1:3, 4:7] = 1
    packed = coco_mask.encode(np.asfortranarray(region))
    assert (decode_mask({"size": [6, 8], "counts": packed["counts"].decode()}, 6, 8) == region.astype(bool)).all()


def test_mirroring_moves_boxes_with_their_masks(small):
    data = open_coco(small, "train")
    image, target = flipped(data.read(0), data.target(0))
    assert image.shape == (3, 6, 8)
    assert target["boxes"][0].tolist() == [4, 2, 7, 4]
    rows, columns = target["masks"][0].nonzero().T
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == target["boxes"][0].tolist()
    again = flipped(*flipped(data.read(0), data.target(0)))[1]
    assert torch.equal(again["boxes"], data.target(0)["boxes"])


def test_mirroring_depends_on_seed_epoch_and_index_only(small):
    data = open_coco(small, "train")
    pictures = DetectionPictures(data, masks=False, flip=True, seed=3)
    boxes = [pictures[epoch * 2][1]["boxes"].tolist() for epoch in range(12)]
    assert {str(b) for b in boxes} == {"[[1.0, 2.0, 4.0, 4.0]]", "[[4.0, 2.0, 7.0, 4.0]]"}
    assert boxes == [pictures[epoch * 2][1]["boxes"].tolist() for epoch in range(12)]
    images, targets = collate([pictures[0], pictures[1]])
    assert len(images) == len(targets) == 2


def test_results_return_to_cocos_categories_and_boxes(small):
    data = open_coco(small, "train")
    mask = torch.zeros(1, 6, 8, dtype=torch.bool)
    mask[0, 2:4, 1:4] = True
    found = {
        "boxes": torch.tensor([[1.0, 2, 4, 4]]),
        "labels": torch.tensor([2]),
        "scores": torch.tensor([0.5]),
        "masks": mask,
    }
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "scores": torch.zeros(0)}
    (result,) = coco_results(data, [found, nothing])
    assert (result["image_id"], result["category_id"], result["bbox"], result["score"]) == (10, 9, [1, 2, 3, 2], 0.5)
    assert (decode_mask(result["segmentation"], 6, 8) == mask[0].numpy()).all()


def test_wrong_data_are_named(small, tmp_path):
    with pytest.raises(DataError, match=r"neither test\.json nor"):
        open_coco(small, "test")
    content = json.loads((small / "train.json").read_text())

    def written(**changes):
        (small / "train.json").write_text(json.dumps({**content, **changes}))
        return small

    with pytest.raises(DataError, match="category 9, which is not among"):
        open_coco(written(categories=[{"id": 3, "name": "early"}]), "train")
    with pytest.raises(DataError, match="outside of"):
        open_coco(written(images=[{**content["images"][0], "file_name": "../x.png"}]), "train")
    with pytest.raises(DataError, match="KeyError: 'id'"):
        open_coco(written(images=[{}]), "train")
    with pytest.raises(DataError, match="8x6 where its record says 9x6"):
        open_coco(written(images=[{**content["images"][0], "width": 9}]), "train").read(0)
    (small / "train.json").write_text("[")
    with pytest.raises(DataError, match="not in COCO's format"):
        open_coco(small, "train")


def test_the_official_names_are_found(small):
    (small / "annotations").mkdir()
    (small / "train.json").rename(small / "annotations" / "instances_val2017.json")
    (small / "train").rename(small / "val2017")
    assert open_coco(small, "test").read(0).shape == (3, 6, 8)


def test_bundled_shapes(repository):
    folder = repository / "data" / "shapes"
    train, test = open_coco(folder, "train"), open_coco(folder, "test")
    assert (len(train), len(test)) == (100, 40)
    assert train.category_ids == (1, 3, 7)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 500_000
    empty = [i for i in range(100) if not train.annotations.get(train.images[i]["id"])]
    assert empty
    for index in range(0, 100, 9):
        image, target = train.read(index), train.target(index)
        assert image.shape == (3, 96, 96)
        for box, mask, area in zip(target["boxes"], target["masks"], target["area"], strict=True):
            rows, columns = mask.nonzero().T
            around = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            assert (around - box).abs().max() <= 1.5
            assert mask.sum() == area
