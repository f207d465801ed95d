"""`sase-gan invert`: a photograph back into a model."""

from pathlib import Path
from typing import Annotated

import typer

from sase_gan.commands.options import DeviceOption, ThreadsOption, samples_folder


def invert(
    source: Annotated[
        str, typer.Argument(help="Snapshot folder, run folder (its chosen snapshot), or OWNER/NAME on the hub.")
    ],
    photographs: Annotated[list[Path], typer.Argument(help="Pictures, folders or zips of them.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the recipes. [default: inverted/ with a folder for each snapshot]")
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            help="The training pictures, which say how near is near. [default: looked for where the model says they "
            "were; else pictures of the model's own]"
        ),
    ] = None,
    reach: Annotated[
        int,
        typer.Option(min=0, help="So many of these are brought in for comparison, once a model; 0: no judgement."),
    ] = 8,
    steps: Annotated[
        int,
        typer.Option(min=5, help="Of the search: two fifths on the latent, two on the first map, one on the noise."),
    ] = 200,
    latent_only: Annotated[
        bool,
        typer.Option("--latent-only", help="Search latents alone: less near, and as easily varied as a seed."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the pictures that the search begins from.")] = 0,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Bring photographs into a model of a set of pictures: recipes that are drawn, varied and walked to like seeds.

    Then, for example: sase-gan sample MODEL --seeds FOLDER/photo.recipe,FOLDER/photo.recipe~50.0.0
    """
    from sase_gan.api.invert import invert as bring_in
    from sase_gan.drawing.inverting import InvertingSettings
    from sase_gan.hardware import choose_hardware
    from sase_gan.places import try_folder

    choose_hardware(device, threads=threads)
    out = out or samples_folder(source, "inverted")
    try_folder(out)
    rest = 0 if latent_only else 2 * steps // 5
    settings = InvertingSettings(
        latent_steps=steps if latent_only else 2 * steps // 5, map_steps=rest, noise_steps=rest // 2
    )
    found = bring_in(
        source, list(photographs), out=out, real=real, reach=reach, settings=settings, seed=seed, device=device
    )
    sheet = found.save(out)
    for sentence in found.sentences():
        typer.echo(sentence)
    typer.echo(f"{len(found.images)} recipes of {found.images.model} in {out}, side by side in {sheet.name}")
