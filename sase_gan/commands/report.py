"""`sase-gan report`: write the report of an evaluation or of a run again, from its files alone."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="An evaluation folder (with metrics.json) or a run folder.")],
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="The training run whose curves to show; found by itself when the folder lies in one."
        ),
    ] = None,
) -> None:
    """Write report.html and report.md again, from files alone."""
    from sase_gan.errors import UsageError
    from sase_gan.report.write import write_report
    from sase_gan.runs.folder import is_run

    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give the one that `sase-gan evaluate` or `sase-gan train` wrote")
    if run is not None and not is_run(run):
        raise UsageError(
            f"--run is {run}, which holds neither results.jsonl nor config.yaml; give a training run's folder"
        )
    typer.echo(str(write_report(folder, run_folder=run)))
