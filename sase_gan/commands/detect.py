"""`sase-gan detect train | evaluate | predict`: find objects in pictures, with boxes and masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from sase_gan.recognition.detection.coco import CocoSet
    from sase_gan.recognition.detection.detector import Detector
    from sase_gan.recognition.settings import DetectConfig

app = typer.Typer(no_args_is_help=True, help="Train, evaluate and use detectors built with the layers of the papers.")

DataArgument = Annotated[
    Path,
    typer.Argument(help="A folder in COCO's format: train.json, test.json and their pictures, or COCO 2017 itself."),
]
DRAWN = 12


@app.command()
def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The run folder.")],
    preset: Annotated[str | None, typer.Option(help="A recipe of configs/detect, for example shapes.")] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file, laid over the preset.")] = None,
    backbone: Annotated[str | None, typer.Option(help="For example resnet50, mobilenetv2.")] = None,
    norm: Annotated[str | None, typer.Option(help="batch or attentive.")] = None,
    conv: Annotated[str | None, typer.Option(help="plain, sase, aw or grouped.")] = None,
    attention: Annotated[str | None, typer.Option(help="none, se, cbam or emsa.")] = None,
    head_norm: Annotated[str | None, typer.Option(help="none, group or attentive.")] = None,
    pretrained: Annotated[
        Path | None, typer.Option(help="Weights of timm's plain backbone, converted to the chosen layers.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training pictures.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures in a step.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of first weights, order and mirroring.")] = None,
    set_values: Annotated[
        list[str] | None, typer.Option("--set", help="A value such as detector.masks=false; may be given often.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the resolved configuration, write nothing.")] = False,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
) -> None:
    """Train a detector; write its run folder with scores, curves, drawn detections, a report and a snapshot."""
    from rich.console import Console

    from sase_gan.config import build, load_preset, load_yaml, merge, parse_assignments, to_yaml, without_none
    from sase_gan.recognition.settings import DetectConfig

    flags = without_none(
        {
            "backbone": {"name": backbone, "layers": {"norm": norm, "conv": conv, "attention": attention}},
            "detector": {"head_norm": head_norm},
            "pretrained": None if pretrained is None else str(pretrained),
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
        }
    )
    layers = [load_preset(preset, task="detect")] if preset else []
    if config is not None:
        layers.append(load_yaml(config))
    settings: DetectConfig = build(DetectConfig, merge(*layers, flags, parse_assignments(set_values or [])))
    console = Console()
    if dry_run:
        console.print(to_yaml(settings), markup=False)
        console.print(f"{_count_parameters(settings):,} parameters with 80 classes")
        return
    from sase_gan.recognition.detection.coco import open_coco
    from sase_gan.recognition.detection.training import fit_detector

    test = open_coco(data, "test")
    result = fit_detector(
        settings,
        open_coco(data, "train"),
        test,
        out,
        resume=resume,
        accelerator=accelerator,
        show_progress=console.is_terminal,
    )
    page = _write(result.detector, test, result.scores, result.predictions, out, out)
    console.print(_summary(result.scores))
    console.print(f"Written: {page}")


@app.command()
def evaluate(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot folder that a run wrote.")],
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Where the scores and the report go.")],
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 4,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Score a detector on the test part of a data set."""
    from rich.console import Console

    from sase_gan.errors import DataError
    from sase_gan.recognition.detection.coco import open_coco
    from sase_gan.recognition.detection.training import evaluate_detector

    model = _load(snapshot, device)
    test = open_coco(data, "test")
    if test.category_ids != model.config.category_ids:
        raise DataError(
            f"{data} has {len(test.category_ids)} categories that are not the {len(model.config.category_ids)} of the "
            "snapshot; evaluate on data of the same categories"
        )
    scores, predictions = evaluate_detector(model, test, batch_size=batch_size)
    page = _write(model, test, scores, predictions, out, snapshot.parent.parent)
    console = Console()
    console.print(_summary(scores))
    console.print(f"Written: {page}")


@app.command()
def predict(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot folder that a run wrote.")],
    pictures: Annotated[Path, typer.Argument(help="A picture, a folder or a zip of pictures.")],
    out: Annotated[Path, typer.Option(help="Where the drawn pictures and detections.json go.")],
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least score.")] = 0.5,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Find objects in pictures; draw them and list them."""
    import json

    from rich.console import Console

    from sase_gan.datasets.images import open_images
    from sase_gan.files import write_atomically
    from sase_gan.pixels import write_png
    from sase_gan.recognition.detection.detector import detect
    from sase_gan.recognition.detection.scores import draw_detections

    model = _load(snapshot, device)
    source = open_images(pictures)
    classes = model.config.classes
    listed = []
    console = Console()
    for index, name in enumerate(source.names):
        image = source.read(index)
        (found,) = detect(model, [image])
        # Names may hold folders; the drawn picture keeps them.
        write_png(
            out / "drawn" / Path(name).with_suffix(".png"), draw_detections(image, found, classes, threshold=threshold)
        )
        objects = [
            {"class": classes[label - 1], "score": score, "box": box}
            for label, score, box in zip(
                found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True
            )
            if score >= threshold
        ]
        listed.append({"picture": name, "objects": objects})
        console.print(f"{name}: {', '.join(_words(objects)) or 'nothing'}", markup=False)
    with write_atomically(out / "detections.json") as path:
        path.write_text(json.dumps(listed, indent=1))
    console.print(f"Written: {out}")


def _load(snapshot: Path, device: str) -> "Detector":
    from sase_gan.recognition.detection.detector import Detector

    return Detector.from_pretrained(str(snapshot), map_location=device)


def _count_parameters(settings: "DetectConfig") -> int:
    import torch

    from sase_gan.recognition.detection.detector import Detector, DetectorConfig

    with torch.device("meta"):
        model = Detector(
            DetectorConfig(
                backbone=settings.backbone,
                detector=settings.detector,
                classes=tuple(map(str, range(80))),
                category_ids=tuple(range(80)),
            )
        )
    return sum(p.numel() for p in model.parameters())


def _write(
    model: "Detector",
    test: "CocoSet",
    scores: dict[str, Any],
    predictions: "Sequence[dict[str, Tensor]]",
    out: Path,
    run_folder: Path,
) -> Path:
    from sase_gan.pixels import write_png
    from sase_gan.recognition.detection.coco import coco_results
    from sase_gan.recognition.detection.scores import draw_detections, write_detection_scores
    from sase_gan.report.recognition import write_detection_report

    write_detection_scores(scores, coco_results(test, predictions), out)
    for index in range(min(DRAWN, len(test))):
        drawn = draw_detections(test.read(index), predictions[index], model.config.classes)
        write_png(out / "drawn" / f"{Path(test.images[index]['file_name']).stem}.png", drawn)
    return write_detection_report(out, run_folder=run_folder)


def _words(objects: list[dict[str, Any]]) -> list[str]:
    return [f"{found['class']} {found['score']:.2f}" for found in objects]


def _summary(scores: dict[str, Any]) -> str:
    parts = []
    for word in ("box", "mask"):
        if word in scores:
            ap, ap50 = (scores[word][key] for key in ("ap", "ap50"))
            parts.append(f"{word} AP {ap or 0:.3f}, AP50 {ap50 or 0:.3f}")
    return f"{scores['count']} test pictures: {'; '.join(parts)}"
