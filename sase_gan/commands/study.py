"""`sase-gan study`: arms, sets and seeds under one budget, side by side, with what is more than chance."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sase_gan.commands import options

if TYPE_CHECKING:
    from sase_gan.studies.spec import StudySpec

JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Trainings at the same time; by default as many as cores carry.")
]


def study(
    file: Annotated[str, typer.Argument(help="A YAML file, or the name of one of configs/studies, such as judge.")],
    out: Annotated[Path | None, typer.Option(help="The study's folder, default runs/study-NAME; it goes on.")] = None,
    set_path: Annotated[
        list[str] | None, typer.Option("--set-path", help="Where a set lies, such as pandas=FOLDER; repeatable.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Instead of the study's own, such as 0-2.")] = None,
    arms: Annotated[str | None, typer.Option(help="Only these arms, with commas; the first is compared to.")] = None,
    jobs: JobsOption = None,
    threads: options.ThreadsOption = None,
    device: options.DeviceOption = "auto",
    dry_run: options.DryRunOption = False,
) -> None:
    """Compare settings: a matrix of arms, sets and seeds under one budget, one thread each if not said."""
    from functools import partial

    from sase_gan.studies.harness import default_jobs, run_study
    from sase_gan.studies.spec import load_study, parse_paths, plan_cells

    spec = _narrowed(load_study(file), seeds, arms)
    paths = parse_paths(set_path or [])
    cells, skipped = plan_cells(spec, paths)
    if dry_run:
        for cell in cells:
            typer.echo(f"{cell.name}: preset {cell.preset}, {cell.settings or 'as it is'}")
        for name, reason in skipped.items():
            typer.echo(f"{name} is left out: {reason}")
        spent = spec.budget.cpu_seconds
        hours = f", {len(cells) * spent / 3600:.1f} CPU hours of training" if spent else ""
        typer.echo(f"{len(cells)} trainings{hours}; dry run: nothing was written")
        return
    if spec.task == "classify":
        from sase_gan.studies.recognition import run_classification as run_cell
    else:
        from sase_gan.studies.generation import run_generation as run_cell
    each = threads or 1  # a study's trainings stand side by side, and its seconds are those of one thread
    folder = out or Path("runs") / f"study-{Path(file).stem}"
    run_study(
        spec,
        folder,
        partial(run_cell, device=device, threads=each),
        paths=paths,
        jobs=jobs or default_jobs(each),
        report=typer.echo,
    )
    typer.echo((folder / "study.md").read_text(encoding="utf-8"))
    typer.echo(f"Written: {folder / 'study.html'}")


def _narrowed(spec: "StudySpec", seeds: str | None, arms: str | None) -> "StudySpec":
    from sase_gan.drawing.sampling import parse_seeds
    from sase_gan.errors import UsageError

    changes: dict[str, object] = {}
    if seeds is not None:
        changes["seeds"] = tuple(parse_seeds(seeds))
    if chosen := options.split_names(arms):
        if unknown := [name for name in chosen if name not in spec.arms]:
            raise UsageError(f"--arms names {unknown[0]!r}; the study's arms are {', '.join(spec.arms)}")
        changes["arms"] = {name: spec.arms[name] for name in chosen}
    return spec.model_copy(update=changes)
