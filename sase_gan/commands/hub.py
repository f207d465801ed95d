"""`sase-gan push | pull`: models to the Hugging Face hub and from there."""

from pathlib import Path
from typing import Annotated

import typer


def push(
    source: Annotated[str, typer.Argument(help="Snapshot folder, or run folder (its chosen snapshot).")],
    name: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.")],
    licence: Annotated[
        str | None, typer.Option(help="Of the training pictures, such as CC0-1.0. [default: as the model states]")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of `evaluate` for the card's figures. [default: the run's own]")
    ] = None,
    with_pictures: Annotated[
        bool, typer.Option("--with-pictures", help="A model that holds its training pictures may go out with them.")
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="Of a model that is new there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")] = False,
) -> None:
    """Publish a model: weights, configuration, a card with figures and the copying verdict, and 64 pictures."""
    from sase_gan.api.hub import push as publish

    done = publish(
        source,
        name,
        licence=licence,
        evaluation=evaluation,
        with_pictures=with_pictures,
        private=private,
        dry_run=dry_run,
    )
    for file, size in done.files.items():
        typer.echo(f"{size:>12,} bytes  {file}")
    if done.address is None:
        typer.echo(f"\n{done.card}\nnothing was sent; without --dry-run this goes to {done.name}")
    else:
        typer.echo(done.address)


def pull(
    name: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.")],
    out: Annotated[Path | None, typer.Option(help="The snapshot's folder. [default: models/NAME]")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit. [default: the newest]")] = None,
) -> None:
    """Fetch a model into a folder; it is read strictly before the folder appears."""
    from sase_gan.api.hub import pull as fetch
    from sase_gan.places import try_folder

    folder = out or Path("models") / name.rpartition("/")[2]
    try_folder(folder.parent)
    typer.echo(f"{folder}: {fetch(name, folder, revision=revision)}")
