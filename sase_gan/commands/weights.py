"""`sase-gan weights list | fetch | verify | import`: pretrained weights of the evaluators."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.options import WeightsDirOption, former_names

app = typer.Typer(no_args_is_help=True, help="Pretrained weights of the evaluators.")

_Command = former_names({"--dir": "--weights-dir"})

Names = Annotated[list[str] | None, typer.Argument(help="Names from `weights list`; all when left out.")]


@app.command("list", cls=_Command)
def list_weights(weights_dir: WeightsDirOption = None) -> None:
    """Show every known file: size, licence, where it is, whether it is whole."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sase_gan.features import weights
    from sase_gan.features.known_weights import KNOWN

    styles = {"bundled": "green", "present": "green", "damaged": "bold red", "missing": "dim"}
    table = Table("Name", "State", "MB", "Licence", "Needed for", "File or address")
    for name, record in KNOWN.items():
        state = weights.state(name, weights_dir)
        place = Text(str(weights.locate(name, weights_dir) or record.address()), overflow="fold")
        told = f"{record.megabytes:.1f}", record.licence, record.needed_for
        table.add_row(name, Text(state, style=styles[state]), *told, place)
    console = Console()
    console.print(table)
    console.print("Looked in: " + ", ".join(str(path) for path in weights.search_folders(weights_dir)), soft_wrap=True)


@app.command("fetch", cls=_Command)
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names from `weights list`.")], weights_dir: WeightsDirOption = None
) -> None:
    """Download files, check them, and put them where evaluation finds them."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from sase_gan.features.known_weights import known
    from sase_gan.features.weights_arrival import fetch as fetch_weights

    for name in names:
        known(name)
    console = Console(stderr=True)
    for name in names:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(name, total=None)

            def show(received: int, expected: int, task: int = task, progress: Progress = progress) -> None:
                progress.update(task, completed=received, total=expected or None)  # type: ignore[arg-type]

            path = fetch_weights(name, weights_dir, progress=show)
        typer.echo(f"{name}: {path}")


@app.command("verify", cls=_Command)
def verify(names: Names = None, weights_dir: WeightsDirOption = None) -> None:
    """Hash the files that are there; ends with exit code 3 if one is damaged."""
    from sase_gan.errors import WeightsError
    from sase_gan.features import weights
    from sase_gan.features.known_weights import KNOWN, known

    faults = []
    for name in names or list(KNOWN):
        record = known(name)
        path = weights.locate(name, weights_dir)
        if path is None:
            typer.echo(f"{name}: missing")
            continue
        complaint = weights.fault(record, path)
        typer.echo(f"{name}: {'damaged' if complaint else 'whole'} ({weights.file_sha256(path)})")
        if complaint:
            faults.append(complaint)
    if faults:
        raise WeightsError("\n".join(faults))


@app.command("import", cls=_Command)
def import_weights(
    name: Annotated[str, typer.Argument(help="A name from `weights list`.")],
    file: Annotated[Path, typer.Argument(help="The file that was carried in.")],
    weights_dir: WeightsDirOption = None,
) -> None:
    """Check a file that was brought to this computer by hand and put it where evaluation finds it."""
    from sase_gan.features.weights_arrival import import_file

    typer.echo(str(import_file(name, file, weights_dir)))
