"""`sase-gan sample`: pictures, a grid, or a walk from a snapshot."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    source: Annotated[Path, typer.Argument(help="Snapshot folder, or a run folder (its chosen snapshot).")],
    seeds: Annotated[str, typer.Option(help="Such as 0,1,4-6.")] = "0-63",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("samples"),
    truncation: Annotated[float, typer.Option(help="0 to 2; below 1 is more typical and less varied.")] = 1.0,
    noise: Annotated[str, typer.Option(help="random, fixed or off.")] = "random",
    grid_only: Annotated[bool, typer.Option("--grid-only", help="Write grid.png alone.")] = False,
    walk: Annotated[int | None, typer.Option(help="Frames from seed to seed: writes walk.mp4, walk.gif.")] = None,
    loop: Annotated[bool, typer.Option(help="Let the walk end where it began.")] = True,
    batch_size: Annotated[int, typer.Option(help="Pictures drawn at once.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Draw pictures by seed; each PNG carries its seed and the snapshot's hash."""
    from sase_gan.animations import write_gif, write_mp4
    from sase_gan.hardware import choose_hardware
    from sase_gan.networks.load import load_generator
    from sase_gan.pixels import grid, write_png
    from sase_gan.sampling import latent_walk, parse_seeds, sample_images
    from sase_gan.snapshot import snapshot_digest

    chosen = parse_seeds(seeds)
    folder = find_snapshot(source)
    network = load_generator(folder).to(choose_hardware(device, threads=threads).device)
    digest = snapshot_digest(folder)
    if walk is not None:
        frames = latent_walk(network, chosen, steps=walk, loop=loop, batch_size=batch_size)
        write_mp4(out / "walk.mp4", frames)
        write_gif(out / "walk.gif", frames)
        typer.echo(f"{len(frames)} frames in {out / 'walk.mp4'} and {out / 'walk.gif'}")
        return
    with typer.progressbar(length=len(chosen), label="drawing") as bar:
        images = sample_images(
            network,
            chosen,
            truncation=truncation,
            noise=noise,  # type: ignore[arg-type]
            batch_size=batch_size,
            progress=lambda done, total: bar.update(done - bar.pos),
        )
    text = {"snapshot": digest, "truncation": str(truncation), "noise": noise}
    if not grid_only:
        for seed, image in zip(chosen, images, strict=True):
            write_png(out / f"seed{seed:06d}.png", image, {**text, "seed": str(seed)})
    write_png(out / "grid.png", grid(images), {**text, "seeds": seeds})
    typer.echo(f"{len(images)} pictures of {folder.name} in {out}")


def find_snapshot(source: Path) -> Path:
    """The snapshot folder itself, or the chosen snapshot of a run folder.

    Raises:
        DataError: if it is neither.
    """
    from sase_gan.errors import DataError
    from sase_gan.run_folder import is_run, open_run
    from sase_gan.snapshot import is_snapshot

    if is_snapshot(source):
        return source
    if is_run(source):
        return open_run(source).chosen_snapshot()
    what = "does not exist" if not source.exists() else "is neither a snapshot nor a run folder"
    raise DataError(f"{source} {what}; give a folder such as runs/NAME or runs/NAME/snapshots/000012kimg")
