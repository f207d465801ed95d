"""`sase-gan data fetch`: the public sets of pictures that the field measures on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sase_gan.datasets.public_sets import PublicSet


def fetch(
    name: Annotated[str | None, typer.Argument(help="Of the set; without it all are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the pictures. [default: sets/NAME]")] = None,
    archive: Annotated[
        Path | None, typer.Option(help="The archive, fetched elsewhere: nothing is downloaded then.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Another address of the same archive, which is checked alike.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archive beside the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing folder.")] = False,
) -> None:
    """Fetch a public set of pictures: downloaded, checked against what is published, unpacked, with its licence.

    A download that stopped goes on where it was.
    """
    from dataclasses import replace

    from sase_gan.api.progress import shown
    from sase_gan.datasets.fetching import NOTE, describe, download, unpack
    from sase_gan.datasets.public_sets import PUBLIC_SETS, public_set
    from sase_gan.errors import DataError, UsageError
    from sase_gan.places import try_folder
    from sase_gan.progress import named

    if name is None:
        _list(list(PUBLIC_SETS.values()))
        return
    record = public_set(name)
    out = out or Path("sets") / name
    if out.exists() and any(out.iterdir()) and not force:
        raise UsageError(f"{out} exists already; choose another --out or add --force to replace it")
    if archive is not None and not archive.is_file():
        raise DataError(f"{archive} does not exist; give the archive that was fetched from {record.address}")
    if address is not None:
        record = replace(record, address=address, by_hand=False)
    try_folder(out.parent)
    with shown(True) as bars:
        packed = archive or download(
            record, out.parent / f"{name}.archive", progress=named(bars, f"fetching {name} (bytes)")
        )
        count = unpack(record, packed, out, progress=named(bars, "unpacking"))
    if archive is None and not keep:
        packed.unlink()
    typer.echo(f"{count:,} pictures in {out}; {NOTE} there says:")
    typer.echo(describe(record).rstrip())
    typer.echo(f"look at them with: sase-gan data check {out}")


def _list(rows: "list[PublicSet]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "pictures", "what", "licence, as published", title_justify="left")
    for row in rows:
        count = "several sets" if row.count is None else f"{row.count:,}"
        licence = row.licence or "none stated"
        table.add_row(row.name, count, row.what, f"{licence}{' (by hand)' if row.by_hand else ''}")
    Console().print(table)
