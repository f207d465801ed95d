"""`sase-gan detect train | evaluate | predict`: find objects in pictures, with boxes and masks."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sase_gan.commands import options

app = typer.Typer(no_args_is_help=True, help="Train, evaluate and use detectors built with the layers of the papers.")

DataArgument = Annotated[
    Path,
    typer.Argument(help="A folder in COCO's format: train.json, test.json and their pictures, or COCO 2017 itself."),
]


@app.command(cls=options.former_names({"--accelerator": "--device"}, resume_was_a_flag=True))
def train(
    data: DataArgument,
    out: options.RunFolderOption = None,
    preset: Annotated[str | None, typer.Option(help="A recipe of configs/detect, for example shapes.")] = None,
    config: options.ConfigOption = None,
    backbone: Annotated[str | None, typer.Option(help="For example resnet50, mobilenetv2.")] = None,
    norm: options.NormOption = None,
    conv: options.ConvOption = None,
    attention: options.AttentionOption = None,
    head_norm: Annotated[str | None, typer.Option(help="none, group or attentive.")] = None,
    pretrained: Annotated[
        Path | None, typer.Option(help="Weights of timm's plain backbone, converted to the chosen layers.")
    ] = None,
    epochs: options.EpochsOption = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pictures in a step.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of first weights, order and mirroring.")] = None,
    set_values: options.SettingsOption = None,
    resume: options.ResumeOption = None,
    dry_run: options.DryRunOption = False,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
) -> None:
    """Train a detector; write its run folder with scores, curves, drawn detections, a report and a snapshot."""
    from rich.console import Console

    from sase_gan.config import resolve, to_yaml
    from sase_gan.recognition.settings import DetectConfig

    flags = {
        "backbone": {"name": backbone, "layers": {"norm": norm, "conv": conv, "attention": attention}},
        "detector": {"head_norm": head_norm},
        "pretrained": None if pretrained is None else str(pretrained),
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
    }
    folder, config = options.run_folder(out, resume, preset, config)
    settings = resolve(DetectConfig, preset=preset, file=config, flags=flags, settings=set_values, task="detect")
    console = Console()
    if dry_run:
        from sase_gan.recognition.detection.detector import count_detector_parameters

        console.print(to_yaml(settings), markup=False)
        count = count_detector_parameters(settings.backbone, settings.detector, classes=80)
        console.print(f"{count:,} parameters with 80 classes")
        return
    from sase_gan.places import try_folder
    from sase_gan.recognition.detection.coco import open_coco
    from sase_gan.recognition.detection.training import fit_detector
    from sase_gan.recognition.fit import choose_device

    try_folder(folder)
    kind, test = choose_device(device, threads), open_coco(data, "test")
    result = fit_detector(
        settings,
        open_coco(data, "train"),
        test,
        folder,
        resume=resume is not None,
        device=kind,
        show_progress=console.is_terminal,
    )
    _report(result.network, test, result.scores, result.evaluation.predictions, folder)


@app.command()
def evaluate(
    snapshot: options.SnapshotArgument,
    data: DataArgument,
    out: options.ScoresOption,
    batch_size: options.PassOption = 4,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
) -> None:
    """Score a detector on the test part of a data set."""
    from sase_gan.places import try_folder
    from sase_gan.recognition.detection.coco import open_coco
    from sase_gan.recognition.detection.detector import load_detector
    from sase_gan.recognition.detection.scores import evaluate_detector
    from sase_gan.recognition.fit import choose_device

    try_folder(out)
    model = load_detector(snapshot, device=choose_device(device, threads))
    test = open_coco(data, "test")
    _report(model, test, *evaluate_detector(model, test, batch_size=batch_size), out, snapshot.parent.parent)


def _report(model: Any, test: Any, scores: Any, predictions: Any, out: Path, run_folder: Path | None = None) -> None:
    from rich.console import Console

    from sase_gan.recognition.detection.scores import scores_in_words, write_detections
    from sase_gan.report.recognition import write_detection_report

    write_detections(model, test, scores, predictions, out)
    page = write_detection_report(out, run_folder=run_folder)
    Console().print(f"{scores_in_words(scores)}\nWritten: {page}")


@app.command()
def predict(
    snapshot: options.SnapshotArgument,
    pictures: options.PicturesArgument,
    out: Annotated[Path, typer.Option(help="Where the drawn pictures and detections.json go.")],
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Least score.")] = 0.5,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
) -> None:
    """Find objects in pictures; draw them and list them."""
    import json

    from rich.console import Console

    from sase_gan.datasets.sources import open_images
    from sase_gan.files import write_atomically
    from sase_gan.pixels import write_png
    from sase_gan.places import try_folder
    from sase_gan.recognition.detection.detector import detect, load_detector
    from sase_gan.recognition.detection.scores import draw_detections, listed_objects
    from sase_gan.recognition.fit import choose_device
    from sase_gan.sheets import SHEET

    try_folder(out)
    model = load_detector(snapshot, device=choose_device(device, threads))
    source = open_images(pictures, drawn=True)
    classes = model.config.classes
    listed = []
    console = Console()
    for index, name in enumerate(source.names):
        image = source.read(index)
        (found,) = detect(model, [image])
        drawn = draw_detections(image, found, classes, threshold=threshold)
        # Names may hold folders; the drawn picture keeps them.
        write_png(out / "drawn" / Path(name).with_suffix(".png"), drawn, SHEET)
        objects = listed_objects(found, classes, threshold=threshold)
        listed.append({"picture": name, "objects": objects})
        words = [f"{item['class']} {item['score']:.2f}" for item in objects]
        console.print(f"{name}: {', '.join(words) or 'nothing'}", markup=False)
    with write_atomically(out / "detections.json") as path:
        path.write_text(json.dumps(listed, indent=1))
    console.print(f"Written: {out}")
