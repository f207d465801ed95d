"""`sase-gan sample`: pictures, a grid, or a walk from a snapshot."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer


def sample(
    source: Annotated[Path, typer.Argument(help="Snapshot folder, or a run folder (its chosen snapshot).")],
    seeds: Annotated[
        str,
        typer.Option(
            help="Such as 0,1,4-6; also pictures by the names that the studio shows, such as 17~50.3.2, a variation of "
            "17, and 17@60.0.12, a neighbour of it."
        ),
    ] = "0-63",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("samples"),
    truncation: Annotated[float, typer.Option(help="0 to 2; below 1 is more typical and less varied.")] = 1.0,
    noise: Annotated[str, typer.Option(help="random, fixed or off.")] = "random",
    grid_only: Annotated[bool, typer.Option("--grid-only", help="Write grid.png alone.")] = False,
    width: Annotated[
        int | None, typer.Option(help="Of the picture in px; models of one picture draw any size.", show_default=False)
    ] = None,
    height: Annotated[int | None, typer.Option(help="See --width.", show_default=False)] = None,
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
            show_default=False,
        ),
    ] = None,
    walk: Annotated[int | None, typer.Option(help="Frames from seed to seed: writes walk.mp4, walk.gif.")] = None,
    loop: Annotated[bool, typer.Option(help="Let the walk end where it began.")] = True,
    batch_size: Annotated[int, typer.Option(help="Pictures drawn at once.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Draw pictures by seed; each PNG carries its seed and the snapshot's hash."""
    from sase_gan.drawing.animations import write_gif, write_mp4
    from sase_gan.drawing.recipes import draw_recipes, parse_names, walk_recipes
    from sase_gan.errors import UsageError
    from sase_gan.hardware import choose_hardware
    from sase_gan.networks.load import load_network
    from sase_gan.pixels import grid, write_png
    from sase_gan.snapshot import snapshot_digest

    settings: dict[str, Any] = {"truncation": truncation, "noise": noise}
    recipes = [replace(recipe, **settings) for recipe in parse_names(seeds)]
    folder = find_snapshot(source)
    network = load_network(folder).to(choose_hardware(device, threads=threads).device)
    given = {"--width": width, "--height": height, "--start-scale": start_scale or None}
    pyramid = _as_pyramid(network, given | {"--finished-stages": finished_stages})
    if finished_stages is not None:
        pyramid.finished_stages = finished_stages
    digest = snapshot_digest(folder)
    resized = any((width, height, start_scale))
    if resized and (walk is not None or truncation != 1):
        raise UsageError(
            "--walk and --truncation keep the trained size and begin at scale 0; leave them out, or leave out --width, "
            "--height and --start-scale"
        )
    if walk is not None:
        frames = walk_recipes(network, recipes, steps=walk, loop=loop, batch_size=batch_size)
        write_mp4(out / "walk.mp4", frames)
        write_gif(out / "walk.gif", frames)
        typer.echo(f"{len(frames)} frames in {out / 'walk.mp4'} and {out / 'walk.gif'}")
        return
    names = [] if grid_only else [recipe.file_name() for recipe in recipes]
    with typer.progressbar(length=len(recipes), label="drawing") as bar:
        common: dict[str, Any] = {"batch_size": batch_size, "progress": lambda done, _: bar.update(done - bar.pos)}
        if pyramid is None or not resized:
            images = draw_recipes(network, recipes, **common)
        else:
            from sase_gan.drawing import injection as inject

            size = (height or pyramid.size[0], width or pyramid.size[1])
            numbers = [recipe.seed_alone() for recipe in recipes]
            images = inject.sample(
                pyramid, numbers, size=size, start_scale=start_scale, noise=recipes[0].noise, **common
            )
    text = {"snapshot": digest, "truncation": str(truncation), "noise": noise}
    if start_scale:
        text["start_scale"] = str(start_scale)
    if finished_stages is not None:
        text["finished_stages"] = str(finished_stages)
    # With --grid-only there are no names.
    for name, recipe, image in zip(names, recipes, images, strict=False):
        moved = {"picture": recipe.name} if recipe.moves else {}
        write_png(out / name, image, {**text, "seed": str(recipe.seed), **moved})
    write_png(out / "grid.png", grid(images), {**text, "seeds": seeds})
    typer.echo(f"{len(images)} pictures of {folder.name} in {out}")


def find_snapshot(source: Path) -> Path:
    """The snapshot folder itself, or the chosen snapshot of a run folder.

    Raises:
        DataError: if it is neither.
    """
    from sase_gan.errors import DataError
    from sase_gan.runs.folder import is_run, open_run
    from sase_gan.snapshot import is_snapshot

    if is_snapshot(source):
        return source
    if is_run(source):
        return open_run(source).chosen_snapshot()
    what = "does not exist" if not source.exists() else "is neither a snapshot nor a run folder"
    raise DataError(f"{source} {what}; give a folder such as runs/NAME or runs/NAME/snapshots/000012kimg")


def _as_pyramid(network: Any, given: dict[str, Any]) -> Any:
    """The network if it was trained on one picture, else None; what only such a model can do is refused then."""
    from sase_gan.errors import UsageError
    from sase_gan.networks.pyramid import Pyramid

    if isinstance(network, Pyramid):
        return network
    if wrong := [name for name, value in given.items() if value is not None]:
        raise UsageError(f"{', '.join(wrong)}: only models of one picture can do this; this model has one size")
    return None
