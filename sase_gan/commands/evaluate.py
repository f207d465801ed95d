"""`sase-gan evaluate`: measure anybody's pictures, a snapshot or a run against real pictures, and write a report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sase_gan.commands.compare import verdict_text
from sase_gan.commands.options import BackgroundOption, DeviceOption, WeightsDirOption, split_names
from sase_gan.fits import FIT_HELP

if TYPE_CHECKING:
    from sase_gan.evaluation.options import EvaluationOptions
    from sase_gan.metrics.records import EvaluationRecord


def evaluate(
    source: Annotated[
        Path, typer.Argument(help="Generated pictures (a folder or zip), a snapshot folder, or a run folder.")
    ],
    real: Annotated[
        Path | None,
        typer.Option(
            help="The real pictures: folder, zip, or one picture for single-image figures. A run knows its own."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report. [default: evaluation-NAME]")] = None,
    protocol: Annotated[
        str, typer.Option(help="quick, standard, paper-5k, clean or fid_fastgan; other settings make it custom.")
    ] = "quick",
    count: Annotated[int | None, typer.Option(min=1, help="Pictures to generate, or to read at most.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="First seed of generated pictures.")] = 1_000_000,
    extractor: Annotated[
        list[str] | None,
        typer.Option(
            help="Feature network: auto, efflite0, inception, inception-clean, vgg16, dinov2; may be repeated."
        ),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Only these, by commas: groups (copying, diversity ...) or names.")
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Go on without what needs weights that are not here.")
    ] = False,
    holdout: Annotated[
        str | None, typer.Option(help="Real pictures kept out of training: a share of --real such as 10%, or a folder.")
    ] = None,
    holdout_seed: Annotated[int, typer.Option(min=0, help="Seed that drew a held-out share, as in training.")] = 0,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Score each picture against the real one of the same name; one table.")
    ] = False,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=16, help="Bring all pictures to this side, with --pairs the longer one. [default: that of SOURCE]"
        ),
    ] = None,
    fit: Annotated[str, typer.Option(help=FIT_HELP)] = "crop",
    background: BackgroundOption = None,
    truncation: Annotated[
        float | None, typer.Option(min=0.0, max=2.0, help="Below 1: typical pictures. [default: 1]")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the real pictures, for the record.")] = None,
    weights_dir: WeightsDirOption = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for features. [default: the user's cache]")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no features on disk.")] = False,
    baseline: Annotated[
        bool,
        typer.Option(
            help="For a run: measure beside it what recombining its training pictures alone gives, without training. "
            "1,000 pictures take 2 CPU minutes at 64 px, 7 at 128 px, and are kept."
        ),
    ] = True,
    device: DeviceOption = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a pass; 4 is fastest on a CPU.")] = 4,
) -> None:
    """Measure pictures: distances to the real ones, copying, diversity; with a report to read and send on."""
    from sase_gan.evaluation.options import EvaluationOptions

    options = EvaluationOptions(
        source=source,
        real=real,
        out=out,
        protocol=protocol,
        count=count,
        seed=seed,
        extractors=tuple(extractor) if extractor else None,
        metrics=split_names(metrics),
        skip_missing=skip_missing,
        holdout=holdout,
        holdout_seed=holdout_seed,
        image_size=image_size,
        fit=fit,
        background=background or "white",
        truncation=truncation,
        licence=licence,
        weights_dir=weights_dir,
        cache=cache,
        no_cache=no_cache,
        device=device,
        batch_size=batch_size,
        baseline=baseline,
    )
    (_evaluate_pairs if pairs else evaluate_set)(options)


def evaluate_set(options: "EvaluationOptions") -> None:
    """Measure a set, and print verdicts, figures and the report's place."""
    from rich.console import Console

    from sase_gan.api.evaluate import measure

    result = measure(options)
    for note in result.notes:
        typer.echo(f"Note: {note}", err=True)
    if result.record.recombined:
        typer.echo("Recombined: what the training pictures give without training; a network must beat it.")
    console = Console()
    console.print(_verdicts(result.record))
    console.print(_figures(result.record))
    if result.record.classes is not None:
        console.print(_classes(result.record))
    if result.record.disagreement:
        console.print(result.record.disagreement)
    typer.echo(f"Report: {result.page}")


def _evaluate_pairs(options: "EvaluationOptions") -> None:
    from rich.console import Console
    from rich.table import Table

    from sase_gan.api.progress import ProgressBars
    from sase_gan.evaluation.pairs import run_pairs

    with ProgressBars() as progress:
        result = run_pairs(options, progress)
    table = Table(f"Over {result.scenes} scenes", "Mean", "Median", "Deviation", "95 %")
    for name, row in result.summary.items():
        interval = f"{row['low']:.4g} to {row['high']:.4g}" if "low" in row else ""
        table.add_row(name, f"{row['mean']:.4g}", f"{row['median']:.4g}", f"{row['std']:.3g}", interval)
    Console().print(table)
    for note in result.notes:
        typer.echo(f"Note: {note}", err=True)
    typer.echo(f"Table: {result.folder / 'scenes.md'}")


def _verdicts(record: "EvaluationRecord") -> Any:
    from rich.table import Table

    table = Table("Verdict", "", "Why")
    for topic, rule in record.verdict_rules.items():
        table.add_row(topic.capitalize(), verdict_text(record.colour(topic)), rule.text)
    return table


def _classes(record: "EvaluationRecord") -> Any:
    from rich.table import Table

    assert record.classes is not None
    table = Table("Class", "Generated / real", "KID", "FD", "Nearest is of the class", "Of real pictures")
    part = record.classes
    for one in part.classes:
        distances = [one.left_out or "", ""] if one.kid is None else [f"{one.kid:.4g}", f"{one.fd:.4g}"]
        table.add_row(
            one.name, f"{one.n_fake} / {one.n_real}", *distances, *map(_share, (one.agreement, one.agreement_level))
        )
    if len(part.classes) > 1:
        table.add_row("all", "", "", "", _share(part.agreement), _share(part.agreement_level))
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _figures(record: "EvaluationRecord") -> Any:
    from rich.table import Column, Table

    title = f"{record.fakes.n} generated against {record.data.n} real pictures"
    recombined = ["Recombined"] if record.recombined else []
    table = Table(
        Column("Figure", no_wrap=True), "Value", "95 %", "Reference", *recombined, title=title, title_justify="left"
    )
    for name, entry in record.metrics.items():
        if entry.status != "ok":
            table.add_row(name, entry.status.replace("_", " "), "", entry.reason or "", style="dim")
            continue
        interval = f"{entry.low:.4g} to {entry.high:.4g}" if entry.has_interval else ""
        baseline = f"{entry.baseline:.4g}" if entry.baseline is not None else ""
        alone = record.recombined_metric(name)
        told = [f"{alone.value:.4g}" if alone else ""] if recombined else []
        table.add_row(name, f"{entry.value:.4g}", interval, baseline, *told)
    return table
