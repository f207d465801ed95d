"""`sase-gan studio`: the browser app."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.options import DeviceOption


def studio(
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--models",
            help="A snapshot, a run, or a folder of them; may be repeated. The bundled model and --runs come besides.",
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder for what is trained and measured in the studio.")] = Path("runs"),
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="[default: the first free one from 7860]")] = None,
    host: Annotated[str, typer.Option(help="Address; beyond this machine only with --auth.")] = "127.0.0.1",
    auth: Annotated[str | None, typer.Option(help="NAME:PASSWORD that visitors must give.")] = None,
    device: DeviceOption = "auto",
    max_upload_mb: Annotated[int, typer.Option(min=1, max=4096, help="Largest uploaded file.")] = 200,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Longest time limit of a training. [default: a week]")
    ] = None,
    max_runs_gb: Annotated[
        float | None,
        typer.Option(min=0, help="With this much in --runs nothing is trained or measured. [default: no limit]"),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in the browser.")] = False,
) -> None:
    """Open the browser app: draw, explore, look into layers, mix, train, measure."""
    from sase_gan.datasets.sources import bundled_data
    from sase_gan.errors import DataError, SaseGanError, UsageError
    from sase_gan.ui.limits import Limits
    from sase_gan.ui.serve import serve

    for place in models or []:
        if not place.is_dir():
            raise DataError(f"--models {place} is no folder; give a snapshot, a run, or a folder of them")
    name, colon, password = (auth or "").partition(":")
    if auth is not None and not (name and colon and password):
        raise UsageError("--auth is not of the form NAME:PASSWORD; both parts are required")
    try:
        shipped = [bundled_data("snapshots")]
    except SaseGanError:  # an installed package without its repository
        shipped = []
    serve(
        [*shipped, *(models or []), runs],
        runs,
        host=host,
        port=port,
        auth=(name, password) if auth is not None else None,
        device=device,
        max_upload_mb=max_upload_mb,
        limits=Limits(**({} if max_minutes is None else {"minutes": max_minutes}), gigabytes=max_runs_gb),
        browser=browser,
        opened=lambda address: typer.echo(f"The studio is open at {address} (Ctrl-C ends it)"),
    )
