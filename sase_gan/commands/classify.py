"""`sase-gan classify train | evaluate | predict | study`: recognise classes of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor

    from sase_gan.recognition.classification.data import LabelledSet
    from sase_gan.recognition.settings import ClassifyConfig

app = typer.Typer(no_args_is_help=True, help="Train, evaluate and use classifiers built with the layers of the papers.")

DataArgument = Annotated[
    str,
    typer.Argument(
        help="A folder or zip of class folders, a folder with train/ and test/, a folder of idx files "
        "(Fashion-MNIST), or torchvision:NAME:FOLDER."
    ),
]
PresetOption = Annotated[str | None, typer.Option(help="A recipe of configs/classify, for example cifar_200.")]
ConfigOption = Annotated[Path | None, typer.Option(help="A YAML file, laid over the preset.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A value such as optimiser.rate=0.05; may be given often.")
]
AcceleratorOption = Annotated[str, typer.Option(help="auto, cpu or gpu.")]


@app.command()
def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The run folder.")],
    preset: PresetOption = None,
    config: ConfigOption = None,
    backbone: Annotated[str | None, typer.Option(help="For example resnet50, cifar_resnet18, mobilenetv2.")] = None,
    norm: Annotated[str | None, typer.Option(help="batch or attentive.")] = None,
    conv: Annotated[str | None, typer.Option(help="plain, sase, aw or grouped.")] = None,
    attention: Annotated[str | None, typer.Option(help="none, se, cbam or emsa.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training pictures.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Pictures in a step.")] = None,
    max_train: Annotated[int | None, typer.Option(min=2, help="Train on so many pictures only.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of first weights, order and augmentation.")] = None,
    set_values: SetOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the resolved configuration, write nothing.")] = False,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Train a classifier; write its run folder with scores, curves, a report and a snapshot."""
    from rich.console import Console

    from sase_gan.config import without_none

    flags = without_none(
        {
            "backbone": {"name": backbone, "layers": {"norm": norm, "conv": conv, "attention": attention}},
            "epochs": epochs,
            "batch_size": batch_size,
            "max_train": max_train,
            "seed": seed,
        }
    )
    settings = _settings(preset, config, flags, set_values)
    console = Console()
    if dry_run:
        _describe(settings, console)
        return
    from sase_gan.recognition.classification.scores import write_scores
    from sase_gan.recognition.classification.training import fit_classifier
    from sase_gan.report.recognition import write_classification_report

    parts = _open_parts(data, settings)
    result = fit_classifier(
        settings, *parts, out, resume=resume, accelerator=accelerator, show_progress=console.is_terminal
    )
    write_scores(result.scores, out)
    page = write_classification_report(out)
    console.print(_summary(result.scores))
    console.print(f"Written: {page}")


@app.command()
def evaluate(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot folder that a run wrote.")],
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Where the scores and the report go.")],
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 64,
    held_out: Annotated[float, typer.Option(help="As in training, where the data have no test part.")] = 0.1,
    seed: Annotated[int, typer.Option(help="As in training, where the data have no test part.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Score a classifier on the held-out part of a data set."""
    from rich.console import Console

    from sase_gan.errors import DataError
    from sase_gan.recognition.classification.classifier import load_classifier, predict_logits
    from sase_gan.recognition.classification.data import open_labelled
    from sase_gan.recognition.classification.scores import classification_scores, write_scores
    from sase_gan.report.recognition import write_classification_report

    model = load_classifier(snapshot, device=device)
    test = open_labelled(data, "test", held_out=held_out, seed=seed)
    if test.classes != model.config.classes:
        raise DataError(
            f"{data} has the classes {_few(test.classes)} where the snapshot knows {_few(model.config.classes)}; "
            "evaluate on data of the same classes"
        )
    pictures = (model.prepare(test.read(i)) for i in range(len(test)))
    logits = predict_logits(model, _batches(pictures, batch_size), device=device)
    scores = classification_scores(logits, test.labels, test.classes)
    write_scores(scores, out)
    page = write_classification_report(out, run_folder=snapshot.parent.parent)
    console = Console()
    console.print(_summary(scores))
    console.print(f"Written: {page}")


@app.command()
def predict(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot folder that a run wrote.")],
    pictures: Annotated[Path, typer.Argument(help="A picture, a folder or a zip of pictures.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write all probabilities to this CSV file.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Name the classes of pictures, most likely first."""
    import csv

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sase_gan.datasets.images import open_images
    from sase_gan.files import write_atomically
    from sase_gan.recognition.classification.classifier import load_classifier, predict_pictures

    model = load_classifier(snapshot, device=device)
    source = open_images(pictures)
    classes = model.config.classes
    probabilities = predict_pictures(model, (source.read(i) for i in range(len(source))))
    table = Table("picture", "classes")
    for name, row in zip(source.names, probabilities, strict=True):
        best = row.topk(min(top, len(classes)))
        words = [f"{classes[int(i)]} {100 * float(p):.1f} %" for p, i in zip(best.values, best.indices, strict=True)]
        table.add_row(escape(name), escape(", ".join(words)))
    console = Console()
    console.print(table)
    if out is not None:
        with write_atomically(out) as path, path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["picture", *classes])
            writer.writerows([name, *row] for name, row in zip(source.names, probabilities.tolist(), strict=True))
        console.print(f"Written: {out}")


@app.command()
def study(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The study's folder; an interrupted study goes on.")],
    preset: PresetOption = "fashion_study",
    config: ConfigOption = None,
    variants: Annotated[
        str, typer.Option(help="Names with commas; see recognition.study.VARIANTS.")
    ] = "bn,an,sase,grouped,aw,emsa,se",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 3,
    set_values: SetOption = None,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Compare layers on one network: same budget, several seeds, mean and spread."""
    from rich.console import Console

    from sase_gan.recognition.classification.study import run_study
    from sase_gan.recognition.classification.training import fit_classifier

    settings = _settings(preset, config, {}, set_values)
    parts = _open_parts(data, settings)
    console = Console()

    def fit(chosen: "ClassifyConfig", folder: Path) -> dict[str, Any]:
        import shutil

        # A run without a record was interrupted; it starts again.
        shutil.rmtree(folder, ignore_errors=True)
        result = fit_classifier(chosen, *parts, folder, accelerator=accelerator)
        console.print(f"{folder.name}: top-1 {100 * result.scores['top1']:.2f} %, {result.seconds:.0f} s")
        return {
            "top1": result.scores["top1"],
            "loss": result.scores["loss"],
            "calibration_error": result.scores["calibration_error"],
            "seconds": result.seconds,
            "parameters": sum(p.numel() for p in result.classifier.parameters()),
        }

    run_study(settings, [name.strip() for name in variants.split(",")], range(seeds), out, fit)
    console.print((out / "study.md").read_text(), markup=False, soft_wrap=True)


def _settings(
    preset: str | None, config: Path | None, flags: dict[str, Any], assignments: list[str] | None
) -> "ClassifyConfig":
    from sase_gan.config import build, load_preset, load_yaml, merge, parse_assignments
    from sase_gan.recognition.settings import ClassifyConfig

    layers = [load_preset(preset, task="classify")] if preset else []
    if config is not None:
        layers.append(load_yaml(config))
    return build(ClassifyConfig, merge(*layers, flags, parse_assignments(assignments or [])))


def _describe(settings: "ClassifyConfig", console: Any) -> None:
    from sase_gan.config import to_yaml
    from sase_gan.recognition.backbones.backbone import create_backbone
    from sase_gan.recognition.backbones.cost import count_multiply_adds, count_parameters

    section = settings.backbone
    model = create_backbone(section.name, width=section.width, device="meta", **section.layers.model_dump())
    size = settings.pictures.evaluation_size or settings.pictures.image_size
    console.print(to_yaml(settings), markup=False)
    console.print(
        f"{section.name} with 1000 classes and colour pictures: {count_parameters(model):,} parameters, "
        f"{count_multiply_adds(model, size) / 1e6:,.1f} million multiply-adds a picture of {size} px"
    )


def _open_parts(data: str, settings: "ClassifyConfig") -> "tuple[LabelledSet, LabelledSet]":
    from sase_gan.recognition.classification.data import open_labelled

    common = {"held_out": settings.held_out, "seed": settings.seed}
    return open_labelled(data, "train", **common), open_labelled(data, "test", **common)  # type: ignore[arg-type]


def _batches(pictures: Any, size: int) -> "Any":
    from itertools import islice

    import torch

    iterator = iter(pictures)
    while chunk := list(islice(iterator, size)):
        batch: Tensor = torch.stack(chunk)
        yield batch


def _summary(scores: dict[str, Any]) -> str:
    top5 = f", top-5 {100 * scores['top5']:.2f} %" if "top5" in scores else ""
    return (
        f"{scores['count']} held-out pictures: top-1 {100 * scores['top1']:.2f} %{top5}, loss {scores['loss']:.4f}, "
        f"calibration error {scores['calibration_error']:.4f}"
    )


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
