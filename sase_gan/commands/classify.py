"""`sase-gan classify train | evaluate | predict | study`: recognise classes of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sase_gan.commands import options

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
PresetOption = Annotated[str | None, typer.Option(help="A recipe of configs/classify, for example cifar_200.")]


@app.command(cls=options.former_names({"--accelerator": "--device"}, resume_was_a_flag=True))
def train(
    data: DataArgument,
    out: options.RunFolderOption = None,
    preset: PresetOption = None,
    config: options.ConfigOption = None,
    backbone: Annotated[str | None, typer.Option(help="For example resnet50, cifar_resnet18, mobilenetv2.")] = None,
    norm: options.NormOption = None,
    conv: options.ConvOption = None,
    attention: options.AttentionOption = None,
    epochs: options.EpochsOption = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Pictures in a step.")] = None,
    max_train: Annotated[int | None, typer.Option(min=2, help="Train on so many pictures only.")] = None,
    holdout: options.HoldoutOption = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of first weights, order and augmentation.")] = None,
    set_values: options.SettingsOption = None,
    resume: options.ResumeOption = None,
    dry_run: options.DryRunOption = False,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
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
    folder, config = options.run_folder(out, resume, preset, config)
    settings = _settings(preset, config, flags, set_values)
    console = Console()
    if dry_run:
        from sase_gan.config import to_yaml
        from sase_gan.recognition.backbones.cost import cost_in_words

        console.print(to_yaml(settings), markup=False)
        size = settings.pictures.evaluation_size or settings.pictures.image_size
        console.print(cost_in_words(settings.backbone, size))
        return
    from sase_gan.places import try_folder
    from sase_gan.recognition.classification.training import fit_classifier
    from sase_gan.recognition.fit import choose_device

    try_folder(folder)
    kind, parts = choose_device(device, threads), _open_parts(data, settings)
    result = fit_classifier(
        settings, *parts, folder, resume=resume is not None, device=kind, show_progress=console.is_terminal
    )
    _report(result.scores, folder)


@app.command(cls=options.former_names({"--held-out": "--holdout"}))
def evaluate(
    snapshot: options.SnapshotArgument,
    data: DataArgument,
    out: options.ScoresOption,
    batch_size: options.PassOption = 64,
    holdout: Annotated[
        float,
        typer.Option(
            help="Share, as in training, where the data have no test part.", metavar="SHARE", parser=options.share
        ),
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="As in training, where the data have no test part.")] = 0,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
) -> None:
    """Score a classifier on the held-out part of a data set."""
    from sase_gan.places import try_folder
    from sase_gan.recognition.classification.classifier import load_classifier
    from sase_gan.recognition.classification.data import open_labelled
    from sase_gan.recognition.classification.scores import evaluate_classifier
    from sase_gan.recognition.fit import choose_device

    try_folder(out)
    model = load_classifier(snapshot, device=choose_device(device, threads))
    test = open_labelled(data, "test", held_out=holdout, seed=seed)
    _report(evaluate_classifier(model, test, batch_size=batch_size), out, run_folder=snapshot.parent.parent)


def _report(scores: dict[str, Any], out: Path, run_folder: Path | None = None) -> None:
    from rich.console import Console

    from sase_gan.recognition.classification.scores import scores_in_words, write_scores
    from sase_gan.report.recognition import write_classification_report

    write_scores(scores, out)
    page = write_classification_report(out, run_folder=run_folder)
    Console().print(f"{scores_in_words(scores)}\nWritten: {page}")


@app.command()
def predict(
    snapshot: options.SnapshotArgument,
    pictures: options.PicturesArgument,
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write all probabilities to this CSV file.")] = None,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
) -> None:
    """Name the classes of pictures, most likely first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sase_gan.datasets.sources import open_images
    from sase_gan.places import try_file
    from sase_gan.recognition.classification.classifier import load_classifier, predict_pictures
    from sase_gan.recognition.classification.scores import write_probabilities
    from sase_gan.recognition.fit import choose_device

    if out is not None:
        try_file(out)
    model = load_classifier(snapshot, device=choose_device(device, threads))
    source = open_images(pictures, drawn=True)
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


@app.command(cls=options.former_names({"--accelerator": "--device", "--seeds": "--num-seeds"}))
def study(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="The study's folder; an interrupted study goes on.")],
    preset: PresetOption = "fashion_study",
    config: options.ConfigOption = None,
    variants: Annotated[
        str, typer.Option(help="Names with commas; see recognition.classification.study.VARIANTS.")
    ] = "bn,an,sase,grouped,aw,emsa,se",
    num_seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0.")] = 3,
    set_values: options.SettingsOption = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at the same time.")] = 1,
    device: options.DeviceOption = "auto",
    threads: options.ThreadsOption = None,
) -> None:
    """Compare layers on one network: same budget, several seeds, mean and spread; as `sase-gan study` does."""
    from functools import partial

    from sase_gan.places import try_folder
    from sase_gan.recognition.fit import choose_device
    from sase_gan.studies.harness import run_study
    from sase_gan.studies.recognition import run_classification, study_of_layers

    try_folder(out)
    settings = _settings(preset, config, {}, set_values)
    choose_device(device, threads)  # a wrong one is told before anything is trained
    names = [name.strip() for name in variants.split(",")]
    spec = study_of_layers(settings.model_dump(mode="json"), data, names, range(num_seeds))
    run_cell = partial(run_classification, device=device, threads=threads)
    run_study(spec, out, run_cell, jobs=jobs, report=typer.echo)
    typer.echo((out / "study.md").read_text(encoding="utf-8"))


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
