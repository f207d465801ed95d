"""`sase-gan sample`: pictures, a grid, or a walk from a snapshot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sase_gan.commands.options import DeviceOption, SizeOption, ThreadsOption, parse_size, samples_folder, tell_others

if TYPE_CHECKING:
    from sase_gan.api.images import Images


def sample(
    source: Annotated[
        str, typer.Argument(help="Snapshot folder, run folder (its chosen snapshot), or OWNER/NAME on the hub.")
    ],
    seeds: Annotated[
        str,
        typer.Option(
            help="Such as 0,1,4-6; also pictures by the names that the studio shows, such as 17~50.3.2, a variation of "
            "17, and 17@60.0.12, a neighbour of it; also recipes that `invert` wrote, such as inverted/cat.recipe."
        ),
    ] = "0-63",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Of a model with classes: draw each seed as this class; repeatable, and 'all' for all. Shares of "
            "several: --seeds 17=faces.30=fruits.70. [default: each seed has a class of its own]",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures. [default: samples/ with a folder for each snapshot]")
    ] = None,
    truncation: Annotated[float, typer.Option(help="0 to 2; below 1 is more typical and less varied.")] = 1.0,
    noise: Annotated[str, typer.Option(help="random, fixed or off.")] = "random",
    grid_only: Annotated[bool, typer.Option("--grid-only", help="Write grid.png alone.")] = False,
    size: SizeOption = None,
    width: Annotated[int | None, typer.Option(hidden=True)] = None,
    height: Annotated[int | None, typer.Option(hidden=True)] = None,
    start_scale: Annotated[
        int,
        typer.Option(
            help="Models of one picture: stages before it draw the training picture, so 0 varies most, and the last "
            "stage only in detail."
        ),
    ] = 0,
    finished_stages: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Models of one picture: at so many of the finest stages patches of the training picture replace those "
            "drawn. More looks truer and copies more; 0 shows the network's own. [default: the model's]",
        ),
    ] = None,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished", help="Models whose pictures are finished with patches: show what the network alone draws."
        ),
    ] = False,
    variety: Annotated[
        float | None,
        typer.Option(
            help="Models without training: below 1 larger pieces of the training pictures stay together, above 1 "
            "pieces are smaller and pictures newer. [default: the model's]",
        ),
    ] = None,
    sources: Annotated[
        bool,
        typer.Option(
            "--sources",
            help="Models without training, and finished ones: show beside each picture which training picture each "
            "region came from.",
        ),
    ] = False,
    apart_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the training pictures: what is suspiciously near to one of them, by the copying check's "
            "measure, is not written.",
        ),
    ] = None,
    walk: Annotated[int | None, typer.Option(help="Frames from seed to seed: writes walk.mp4, walk.gif.")] = None,
    loop: Annotated[bool, typer.Option(help="Let the walk end where it began.")] = True,
    bits: Annotated[
        int, typer.Option(help="16 writes grey PNGs of 16 bits, of networks of a set with --colours grey; 8 is usual.")
    ] = 8,
    batch_size: Annotated[int, typer.Option(help="Pictures drawn at once.")] = 8,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Draw pictures by seed; each PNG carries its seed and the snapshot's hash."""
    from sase_gan.api.sample import sample as draw
    from sase_gan.errors import UsageError
    from sase_gan.hardware import choose_hardware
    from sase_gan.places import try_folder

    choose_hardware(device, threads=threads)
    wanted = parse_size(size)
    resized = any((wanted, width, height, start_scale))
    if resized and (walk is not None or truncation != 1):
        raise UsageError(
            "--walk and --truncation keep the trained size and begin at scale 0; leave them out, or leave out --size "
            "and --start-scale"
        )
    out = out or samples_folder(source)
    try_folder(out)
    if walk is not None:
        if sources or variety is not None or apart_from is not None or classes or bits != 8:
            raise UsageError(
                "--walk draws a film, without --sources, --variety, --apart-from, --bits and --class (its stations can "
                "name classes: --seeds 3=faces,3=fruits); leave them out"
            )
        _write_walk(source, seeds, walk, loop, out, batch_size, device)
        return
    options: dict[str, Any] = {"truncation": truncation, "noise": noise, "start_scale": start_scale}
    options |= {
        "finished_stages": finished_stages,
        "unfinished": unfinished,
        "batch_size": batch_size,
        "device": device,
        "bits": bits,
    }
    options |= {"variety": variety, "sources": sources, "classes": tuple(classes or ())}
    images = draw(source, seeds, size=wanted or ((height, width) if width or height else None), **options)
    if apart_from is not None:
        images = _apart(images, apart_from, source)
    images.save(out, grid_only=grid_only)
    if weak := _weak_classes(source, any(recipe.classes for recipe in images.recipes)):
        typer.echo(weak, err=True)
    tell_others(out, images.text.get("snapshot"))
    typer.echo(f"{len(images)} pictures of {images.model} in {out}")


def _weak_classes(source: str, asked: bool) -> str | None:
    """Say so where a snapshot was published before classes counted fully."""
    from sase_gan.api.models import find_snapshot
    from sase_gan.snapshot import WEIGHTS_FILE, read_header

    strength = read_header(find_snapshot(source) / WEIGHTS_FILE)["provenance"].get("class_strength")
    if not asked or not isinstance(strength, int | float) or strength >= 1:
        return None
    return (
        f"classes count {strength:.0%} in this snapshot, which was published while they came in; a later one draws "
        "them more clearly"
    )


def _apart(images: "Images", pictures: Path, source: str) -> "Images":
    from sase_gan.api.images import listed
    from sase_gan.api.models import find_snapshot
    from sase_gan.api.near_copies import part_near_copies
    from sase_gan.errors import DataError
    from sase_gan.networks.load import training_facts

    apart, near = part_near_copies(images, pictures, training_facts(find_snapshot(source)))
    if not len(apart):
        raise DataError(
            f"all {len(images)} pictures are suspiciously near to one of {pictures}; draw others with --seeds, or "
            "leave out --apart-from"
        )
    if len(near):
        typer.echo(
            f"left out, suspiciously near to a picture of {pictures}: {len(near)} of {len(images)}, "
            f"seeds {listed(near.recipes)}",
            err=True,
        )
    return apart


def _write_walk(source: str, seeds: str, steps: int, loop: bool, out: Path, batch_size: int, device: str) -> None:
    from sase_gan.api.models import find_snapshot, load
    from sase_gan.drawing.recipes import parse_names, walk_recipes
    from sase_gan.films import write_gif, write_mp4
    from sase_gan.snapshot import snapshot_digest

    stations = parse_names(seeds, files=True)
    network, digest = load(source, device=device), snapshot_digest(find_snapshot(source))
    for station in stations:
        station.check_snapshot(digest)
    frames = walk_recipes(network, stations, steps=steps, loop=loop, batch_size=batch_size)
    write_mp4(out / "walk.mp4", frames)
    write_gif(out / "walk.gif", frames)
    typer.echo(f"{len(frames)} frames in {out / 'walk.mp4'} and {out / 'walk.gif'}")
