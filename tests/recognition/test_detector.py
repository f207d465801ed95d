"""Detectors: exact parameter counts, pyramids, freezing, a train step, average precision against pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from typer.testing import CliRunner

from sase_gan.commands.detect import app
from sase_gan.config import build, list_presets, load_preset
from sase_gan.errors import DataError, UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.recognition.backbones.backbone import create_backbone
from sase_gan.recognition.detection.coco import CocoSet, coco_results, open_coco
from sase_gan.recognition.detection.detector import Detector, DetectorConfig, detect, fpn_backbone
from sase_gan.recognition.detection.scores import detection_scores, draw_detections
from sase_gan.recognition.detection.training import detection_rate_factor, fit_detector
from sase_gan.recognition.settings import BackboneSection, DetectConfig, DetectorSection

SMALL = {
    "channels": 16,
    "box_head": "linear",
    "box_features": 32,
    "smallest_side": 64,
    "largest_side": 64,
    "anchor_sizes": (12, 20, 32, 48, 64),
    "proposals": 20,
    "box_batch": 16,
}


def make(*, backbone="resnet18d", layers=None, classes=3, **detector) -> Detector:
    width = 0.125 if backbone.endswith("d") else 1.0
    return Detector(
        DetectorConfig(
            backbone=BackboneSection(name=backbone, width=width, layers=layers or {}),
            detector=DetectorSection(**{**SMALL, **detector}),
            classes=tuple(f"class {i}" for i in range(1, classes + 1)),
            category_ids=tuple(range(1, classes + 1)),
        )
    )


@pytest.mark.parametrize(
    ("norm", "head", "counts"),
    [
        ("batch", "none", (45711413, 64703541)),
        ("attentive", "none", (45909801, 65155025)),
        ("batch", "group", (45715509, 64707637)),
        ("attentive", "attentive", (45957989, 65203213)),
    ],
)
def test_parameter_counts_of_mask_rcnn(norm, head, counts):
    for name, expected in zip(("resnet50", "resnet101"), counts, strict=True):
        config = DetectorConfig(
            backbone=BackboneSection(name=name, layers={"norm": norm}),
            detector=DetectorSection(head_norm=head),
            classes=tuple(map(str, range(80))),
            category_ids=tuple(range(80)),
        )
        with torch.device("meta"):
            assert sum(p.numel() for p in Detector(config).parameters()) == expected


def test_attentive_box_head_counts_its_components_in_each_model_anew():
    for _ in range(2):
        model = make(head_norm="attentive", box_head="convolutions", channels=32)
        norms = [m for m in model.network.roi_heads.box_head.modules() if isinstance(m, AttentiveNorm)]
        assert [n.num_components for n in norms] == [10, 10, 20, 20]


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenetv2", "resnet18d"])
def test_pyramids_have_halving_maps(name):
    maps = fpn_backbone(name, channels=8, norm="attentive").eval()(torch.randn(1, 3, 64, 64))
    assert list(maps) == ["0", "1", "2", "3", "pool"]
    assert [m.shape[-1] for m in maps.values()] == [16, 8, 4, 2, 1]
    assert all(m.shape[1] == 8 for m in maps.values())


@pytest.mark.parametrize("name", ["densenet121", "mobilenetv2"])
def test_every_parameter_of_a_pyramid_has_a_gradient(name):
    backbone = fpn_backbone(name, channels=8)
    sum(m.square().sum() for m in backbone(torch.randn(2, 3, 64, 64)).values()).backward()
    assert [n for n, p in backbone.named_parameters() if p.grad is None] == []


def test_torchvisions_own_wrapper_gives_the_same_maps():
    network = create_backbone("resnet18", norm="attentive", conv="aw", num_classes=0).eval()
    ours = fpn_backbone("resnet18", channels=8, norm="attentive", conv="aw").eval()
    theirs = BackboneWithFPN(network, {f"layer{i}": str(i - 1) for i in (1, 2, 3, 4)}, [64, 128, 256, 512], 8).eval()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 3, 64, 48)
    for first, second in zip(ours(x).values(), theirs(x).values(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(
    "layers",
    [{"norm": "attentive"}, {"conv": "sase"}, {"conv": "aw", "attention": "emsa", "attention_groups": 4}],
    ids=str,
)
@pytest.mark.parametrize("masks", [True, False])
def test_a_train_step_and_inference(layers, masks):
    model = make(layers=layers, masks=masks)
    images = [torch.rand(3, 64, 48) * 2 - 1, torch.rand(3, 50, 64) * 2 - 1]
    targets = [
        {
            "boxes": torch.tensor([[4.0, 4, 30, 30]]),
            "labels": torch.tensor([1]),
            "masks": torch.ones(1, 64, 48, dtype=torch.uint8),
        },
        {
            "boxes": torch.zeros(0, 4),
            "labels": torch.zeros(0, dtype=torch.long),
            "masks": torch.zeros(0, 50, 64, dtype=torch.uint8),
        },
    ]
    losses = model(images, targets)
    assert ("loss_mask" in losses) == masks
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    found = detect(model, [(127.5 * (i + 1)).to(torch.uint8) for i in images])
    assert model.training
    assert ("masks" in found[0]) == masks
    if masks:
        assert found[1]["masks"].shape[1:] == (50, 64)


def test_frozen_parts_stay_frozen():
    model = make(layers={"norm": "attentive"})
    model.freeze(1, statistics=True)
    model.train()
    body = model.network.backbone.body
    assert not any(p.requires_grad for name in ("conv1", "bn1", "layer1") for p in body[name].parameters())
    assert all(p.requires_grad for p in body["layer2"].parameters())
    assert not any(m.training for m in body.modules() if isinstance(m, nn.BatchNorm2d))
    assert body["layer2"][0].bn1.scale.requires_grad
    with pytest.raises(UsageError, match="ResNets only"):
        make(backbone="mobilenetv2").freeze(1, statistics=False)
    with pytest.raises(ValueError, match="need pretrained weights"):
        DetectConfig(frozen_stages=1)


def random_detections(data: CocoSet, seed: int):
    """Jittered ground truth, wrong labels and inventions, with random scores."""
    source = torch.Generator().manual_seed(seed)
    predictions = []
    for index in range(len(data)):
        target = data.target(index)
        size = target["masks"].shape[1:]
        boxes = target["boxes"] + torch.randn(target["boxes"].shape, generator=source) * 2
        boxes = torch.cat([boxes, torch.tensor([[5.0, 5, 40, 40]])])
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = torch.cat([target["labels"], torch.tensor([1])])
        wrong = torch.rand(len(labels), generator=source) < 0.2
        labels[wrong] = labels[wrong] % 3 + 1
        extra = torch.zeros(1, *size, dtype=torch.bool)
        extra[0, 5:40, 5:40] = True
        masks = torch.cat([target["masks"].roll(1, 2), extra])
        predictions.append(
            {"boxes": boxes, "labels": labels, "masks": masks, "scores": torch.rand(len(labels), generator=source)}
        )
    return predictions


def direct(data: CocoSet, annotations, predictions, kind: str):
    """The same figures by pycocotools itself, from COCO's own files."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        results = coco_results(data, predictions)
        if kind == "segm":
            # With a box in the record pycocotools takes the box's area for the mask's.
            results = [{k: v for k, v in result.items() if k != "bbox"} for result in results]
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def test_average_precision_equals_pycocotools(repository):
    folder = repository / "data" / "shapes"
    data = open_coco(folder, "test")
    predictions = random_detections(data, 0)
    scores = detection_scores(predictions, [data.target(i) for i in range(len(data))], data.classes)
    for kind, word in (("bbox", "box"), ("segm", "mask")):
        stats = direct(data, folder / "test.json", predictions, kind)
        ours = [scores[word][k] for k in ("ap", "ap50", "ap75", "ap_small", "ap_medium")]
        assert 0.05 < ours[0] < 0.95
        assert np.allclose(ours, stats[:5], atol=1e-6)


def test_perfect_detections_score_one(repository):
    data = open_coco(repository / "data" / "shapes", "test")
    targets = [data.target(i) for i in range(len(data))]
    perfect = []
    for target in targets:
        kept = target["iscrowd"] == 0
        perfect.append(
            {k: target[k][kept] for k in ("boxes", "labels", "masks")} | {"scores": torch.ones(int(kept.sum()))}
        )
    scores = detection_scores(perfect, targets, data.classes)
    assert scores["box"]["ap"] == pytest.approx(1.0)
    assert scores["mask"]["ap"] == pytest.approx(1.0)
    assert scores["mask"]["ap_by_class"] == pytest.approx({"disc": 1.0, "square": 1.0, "triangle": 1.0})
    assert scores["box"]["ap_large"] is None
    nothing = [
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "scores": torch.zeros(0)}
        for _ in targets
    ]
    assert detection_scores(nothing, targets, data.classes)["box"]["ap"] == 0
    with pytest.raises(DataError, match="no pictures"):
        detection_scores([], [], ["a"])


def test_drawing_colours_the_objects(repository):
    data = open_coco(repository / "data" / "shapes", "test")
    image, target = data.read(0), data.target(0)
    drawn = draw_detections(image, target, data.classes)
    assert drawn.shape == (3, 480, 480)
    plain = draw_detections(image, {**target, "scores": torch.zeros(len(target["labels"]))}, data.classes)
    changed = (drawn != plain).any(0)
    inside = target["masks"].any(0).repeat_interleave(5, 0).repeat_interleave(5, 1)
    assert changed[inside].float().mean() > 0.9


def test_rate():
    config = DetectConfig(warmup_steps=30, milestones=(2, 3))
    factors = [detection_rate_factor(step, 100, config) for step in (0, 15, 30, 199, 200, 300)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.1, 0.01])


@pytest.mark.parametrize("name", list_presets("detect"))
def test_presets_name_what_they_need(name):
    values = load_preset(name)
    if "frozen_statistics" in values:
        values["pretrained"] = "weights.pth"
    assert build(DetectConfig, values).epochs > 0


@pytest.fixture
def few(repository, tmp_path):
    """Twelve of the bundled pictures."""
    for part in ("train", "test"):
        content = json.loads((repository / "data" / "shapes" / f"{part}.json").read_text())
        content["images"] = content["images"][:8]
        kept = {record["id"] for record in content["images"]}
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
        (tmp_path / "few").mkdir(exist_ok=True)
        (tmp_path / "few" / f"{part}.json").write_text(json.dumps(content))
        (tmp_path / "few" / part).symlink_to(repository / "data" / "shapes" / part)
    return tmp_path / "few"


def settings(**changes) -> DetectConfig:
    return build(
        DetectConfig,
        {
            "backbone": {"name": "resnet18d", "width": 0.125, "layers": {"norm": "attentive"}},
            "detector": {**SMALL, "smallest_side": 64, "largest_side": 64},
            "rate": 0.01, "clip_norm": 10, "warmup_steps": 4, "epochs": 2, "batch_size": 4, **changes,
        },
    )  # fmt: skip


def test_a_resumed_run_equals_an_uninterrupted_one(few, tmp_path):
    parts = open_coco(few, "train"), open_coco(few, "test")
    whole = fit_detector(settings(), *parts, tmp_path / "whole", device="cpu")
    fit_detector(settings(epochs=1), *parts, tmp_path / "parts", device="cpu")
    resumed = fit_detector(settings(), *parts, tmp_path / "parts", device="cpu", resume=True)
    for first, second in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(first, second)
    with pytest.raises(UsageError, match="holds a run already"):
        fit_detector(settings(), *parts, tmp_path / "parts")
    with pytest.raises(UsageError, match="nothing to resume"):
        fit_detector(settings(), *parts, tmp_path / "none", resume=True)
    with pytest.raises(UsageError, match="batch_size is 64 with"):
        fit_detector(settings(batch_size=64), *parts, tmp_path / "none")


def test_pretrained_weights_enter_converted(few, tmp_path):
    import timm

    source = timm.create_model("resnet18")
    torch.save(source.state_dict(), tmp_path / "r18.pth")
    config = settings(
        backbone={"name": "resnet18", "layers": {"norm": "attentive"}}, pretrained=str(tmp_path / "r18.pth"),
        frozen_stages=1, frozen_statistics=True, epochs=1,
    )  # fmt: skip
    result = fit_detector(config, open_coco(few, "train"), open_coco(few, "test"), tmp_path / "run", device="cpu")
    body = result.network.network.backbone.body
    assert torch.equal(body["conv1"].weight, source.conv1.weight)
    assert torch.equal(body["layer1"][0].conv1.weight, source.layer1[0].conv1.weight)
    assert not torch.equal(body["layer4"][0].conv1.weight, source.layer4[0].conv1.weight)
    assert torch.equal(body["layer4"][0].bn2.running_mean, source.layer4[0].bn2.running_mean)


def test_commands_from_training_to_prediction(few, tmp_path):
    runner, out = CliRunner(), tmp_path / "run"
    (tmp_path / "c.yaml").write_text(json.dumps(settings(epochs=1).model_dump(mode="json")))
    flags = ["--config", str(tmp_path / "c.yaml"), "--attention", "se"]
    shown = runner.invoke(app, ["train", str(few), "--out", str(out), *flags, "--dry-run"], catch_exceptions=False)
    assert "parameters with 80 classes" in shown.output
    assert not out.exists()
    assert runner.invoke(app, ["train", str(few), "--out", str(out), *flags], catch_exceptions=False).exit_code == 0
    assert len(list((out / "drawn").glob("*.png"))) == 8
    assert "data:image/png" in (out / "report.html").read_text()
    snapshot = str(out / "snapshots" / "000000kimg")
    scored = runner.invoke(app, ["evaluate", snapshot, str(few), "--out", str(tmp_path / "e")], catch_exceptions=False)
    assert scored.exit_code == 0
    first, second = (json.loads((p / "detection.json").read_text()) for p in (out, tmp_path / "e"))
    assert first["box"]["ap"] == pytest.approx(second["box"]["ap"], abs=1e-6)
    named = runner.invoke(
        app, ["predict", snapshot, str(few / "test" / "001.png"), "--out", str(tmp_path / "p"), "--threshold", "0"],
        catch_exceptions=False,
    )  # fmt: skip
    assert named.exit_code == 0
    assert json.loads((tmp_path / "p" / "detections.json").read_text())[0]["picture"] == "001.png"
    assert (tmp_path / "p" / "drawn" / "001.png").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["train", "DATA", "--out", "OUT", "--accelerator", "tpu"],
        ["evaluate", "SNAPSHOT", "DATA", "--out", "OUT", "--device", "tpu"],
        ["predict", "SNAPSHOT", "PICTURES", "--out", "OUT", "--device", "tpu"],
    ],
    ids=" ".join,
)
def test_an_unknown_device_is_refused_in_the_present_and_the_former_spelling(words):
    with pytest.raises(UsageError, match="device is 'tpu'; this machine has cpu"):
        CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.slow
@pytest.mark.parametrize("layers", [{"norm": "attentive"}, {"conv": "sase"}], ids=str)
def test_the_bundled_shapes_are_learnt(repository, tmp_path, layers):
    config = build(DetectConfig, {**load_preset("detect/shapes"), "seed": 0})
    config = config.model_copy(update={"backbone": BackboneSection(name="resnet18d", width=0.25, layers=layers)})
    folder = repository / "data" / "shapes"
    result = fit_detector(config, open_coco(folder, "train"), open_coco(folder, "test"), tmp_path / "run")
    assert result.scores["box"]["ap50"] > 0.5
    assert result.scores["mask"]["ap50"] > 0.5
