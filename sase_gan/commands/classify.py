"""`sase-gan classify train | evaluate | predict | study`: recognise classes of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sase_gan.commands.options import (
    ConfigOption,
    DeviceOption,
    DryRunOption,
    SettingsOption,
    ThreadsOption,
    former_names,
)

if TYPE_CHECKING:
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
SnapshotArgument = Annotated[Path, typer.Argument(help="A snapshot folder that a run wrote.")]
PresetOption = Annotated[str | None, typer.Option(help="A recipe of configs/classify, for example cifar_200.")]


@app.command(cls=former_names({"--accelerator": "--device"}))
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
    holdout: Annotated[float | None, typer.Option(help="Share held out where the data have no test part.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of first weights, order and augmentation.")] = None,
    set_values: SettingsOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    dry_run: DryRunOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Train a classifier; write its run folder with scores, curves, a report and a snapshot."""
    from rich.console import Console

    flags = {
        "backbone": {"name": backbone, "layers": {"norm": norm, "conv": conv, "attention": attention}},
        "epochs": epochs,
        "batch_size": batch_size,
        "max_train": max_train,
        "held_out": holdout,
        "seed": seed,
    }
    settings = _settings(preset, config, flags, set_values)
    console = Console()
    if dry_run:
        from sase_gan.config import to_yaml
        from sase_gan.recognition.backbones.cost import cost_in_words

        console.print(to_yaml(settings), markup=False)
        size = settings.pictures.evaluation_size or settings.pictures.image_size
        console.print(cost_in_words(settings.backbone, size))
        return
    from sase_gan.recognition.classification.scores import scores_in_words, write_scores
    from sase_gan.recognition.classification.training import fit_classifier
    from sase_gan.recognition.fit import choose_device
    from sase_gan.report.recognition import write_classification_report

    kind, parts = choose_device(device, threads), _open_parts(data, settings)
    result = fit_classifier(settings, *parts, out, resume=resume, device=kind, show_progress=console.is_terminal)
    write_scores(result.scores, out)
    page = write_classification_report(out)
    console.print(scores_in_words(result.scores))
    console.print(f"Written: {page}")


@app.command(cls=former_names({"--held-out": "--holdout"}))
def evaluate(
    snapshot: SnapshotArgument,
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Where the scores and the report go.")],
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at once.")] = 64,
    holdout: Annotated[float, typer.Option(help="As in training, where the data have no test part.")] = 0.1,
    seed: Annotated[int, typer.Option(help="As in training, where the data have no test part.")] = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Score a classifier on the held-out part of a data set."""
    from rich.console import Console

    from sase_gan.recognition.classification.classifier import load_classifier
    from sase_gan.recognition.classification.data import open_labelled
    from sase_gan.recognition.classification.scores import evaluate_classifier, scores_in_words, write_scores
    from sase_gan.recognition.fit import choose_device
    from sase_gan.report.recognition import write_classification_report

    model = load_classifier(snapshot, device=choose_device(device, threads))
    test = open_labelled(data, "test", held_out=holdout, seed=seed)
    scores = evaluate_classifier(model, test, batch_size=batch_size)
    write_scores(scores, out)
    page = write_classification_report(out, run_folder=snapshot.parent.parent)
    console = Console()
    console.print(scores_in_words(scores))
    console.print(f"Written: {page}")


@app.command()
def predict(
    snapshot: SnapshotArgument,
    pictures: Annotated[Path, typer.Argument(help="A picture, a folder or a zip of pictures.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write all probabilities to this CSV file.")] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Name the classes of pictures, most likely first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sase_gan.datasets.sources import open_images
    from sase_gan.recognition.classification.classifier import load_classifier, predict_pictures
    from sase_gan.recognition.classification.scores import write_probabilities
    from sase_gan.recognition.fit import choose_device

    model = load_classifier(snapshot, device=choose_device(device, threads))
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
        write_probabilities(source.names, probabilities, classes, out)
        console.print(f"Written: {out}")


@app.command(cls=former_names({"--accelerator": "--device"}))
def study(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The study's folder; an interrupted study goes on.")],
    preset: PresetOption = "fashion_study",
    config: ConfigOption = None,
    variants: Annotated[
        str, typer.Option(help="Names with commas; see recognition.classification.study.VARIANTS.")
    ] = "bn,an,sase,grouped,aw,emsa,se",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 3,
    set_values: SettingsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Compare layers on one network: same budget, several seeds, mean and spread."""
    from rich.console import Console

    from sase_gan.recognition.classification.study import run_study, trained_record
    from sase_gan.recognition.fit import choose_device

    settings = _settings(preset, config, {}, set_values)
    kind, parts = choose_device(device, threads), _open_parts(data, settings)
    console = Console()

    def fit(chosen: "ClassifyConfig", folder: Path) -> dict[str, Any]:
        record = trained_record(chosen, folder, *parts, device=kind)
        console.print(f"{folder.name}: top-1 {100 * record['top1']:.2f} %, {record['seconds']:.0f} s")
        return record

    run_study(settings, [name.strip() for name in variants.split(",")], range(seeds), out, fit)
    console.print((out / "study.md").read_text(), markup=False, soft_wrap=True)


def _settings(
    preset: str | None, file: Path | None, flags: dict[str, Any], settings: list[str] | None
) -> "ClassifyConfig":
    from sase_gan.config import resolve
    from sase_gan.recognition.settings import ClassifyConfig

    return resolve(ClassifyConfig, preset=preset, file=file, flags=flags, settings=settings, task="classify")


def _open_parts(data: str, settings: "ClassifyConfig") -> "tuple[LabelledSet, LabelledSet]":
    from sase_gan.recognition.classification.data import open_labelled

    train_set, held_out = (
        open_labelled(data, part, held_out=settings.held_out, seed=settings.seed) for part in ("train", "test")
    )
    return train_set, held_out
