"""`sase-gan inject`: what a model of one picture can do with pictures, whether it was trained or not.

Each command calls one function of `drawing.applications`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from sase_gan.commands.options import DeviceOption, SizeOption, parse_size

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})

Model = Annotated[Path, typer.Argument(help="Snapshot folder of one picture, trained or instant, or its run folder.")]
OptionalMask = Annotated[
    Path | None, typer.Option(help="Picture, white where something may change. [default: everywhere]")
]
Scale = Annotated[
    int | None, typer.Option(help="Stage or level before which it enters: 1 redraws the most, the last the least.")
]
Seeds = Annotated[str, typer.Option(help="Such as 0,1,4-6.")]
Out = Annotated[Path, typer.Option(help="Folder for the pictures.")]


@app.command("picture")
def picture(
    model: Model,
    image: Annotated[Path, typer.Argument(help="The picture that enters.")],
    start_scale: Annotated[int, typer.Option(help="1 redraws the most, the last stage or level the least.")] = 1,
    mask: OptionalMask = None,
    seeds: Seeds = "0-3",
    size: SizeOption = None,
    out: Out = Path("injected"),
    device: DeviceOption = "auto",
) -> None:
    """Let a picture enter at one stage."""
    from sase_gan.drawing.applications import inject

    opened = _Opened(model, device, seeds, out)
    entering = opened.read(image)
    changing = _read_mask(mask, entering)
    drawn = inject(opened.network, entering, start_scale, changing, seeds=opened.seeds, size=parse_size(size))
    opened.write(out, drawn, start_scale=str(start_scale))


@app.command("strip")
def strip(
    model: Model,
    image: Annotated[
        Path | None, typer.Argument(help="The picture that enters. [default: the training picture]")
    ] = None,
    mask: OptionalMask = None,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    out: Annotated[Path, typer.Option(help="The PNG.")] = Path("strip.png"),
    device: DeviceOption = "auto",
) -> None:
    """Show all start scales at once, coarse to fine, behind the picture itself."""
    import torch

    from sase_gan.colours import shown
    from sase_gan.drawing import applications
    from sase_gan.networks.load import own_colours
    from sase_gan.pixels import write_png
    from sase_gan.places import try_file
    from sase_gan.resizing import at_size
    from sase_gan.sheets import SHEET, grid

    try_file(out)
    opened = _Opened(model, device)
    entering = None if image is None else opened.read(image)
    first = own_colours(opened.network) if entering is None else entering
    drawn = applications.strip(opened.network, entering, _read_mask(mask, first), seed=seed)
    row = shown(torch.cat([at_size(first, opened.network.size)[None], drawn]), "checkerboard")
    write_png(out, grid(row, columns=len(row)), {**opened.text, **SHEET, "seed": str(seed)})
    typer.echo(f"{out}: the picture, then start scales 1 to {len(row) - 1}")


@app.command("harmonise")
def harmonise(
    model: Model,
    composite: Annotated[Path, typer.Argument(help="The training picture with an object pasted.")],
    mask: Annotated[Path, typer.Option(help="Picture, white where something may change.")],
    start_scale: Scale = None,
    seeds: Seeds = "0",
    out: Out = Path("harmonised"),
    device: DeviceOption = "auto",
) -> None:
    """Give a pasted object the look of the training picture."""
    from sase_gan.drawing import applications

    opened = _Opened(model, device, seeds, out)
    pasted = opened.read(composite)
    pictures = pasted, _read_mask(mask, pasted)
    drawn = applications.harmonise(opened.network, *pictures, start_scale, seeds=opened.seeds)
    opened.write(out, drawn, application="harmonise")


@app.command("edit")
def edit(
    model: Model,
    edited: Annotated[Path | None, typer.Argument(help="The edited training picture; or use --move.")] = None,
    mask: OptionalMask = None,
    move: Annotated[
        str | None, typer.Option(help="LEFT,TOP,WIDTH,HEIGHT:RIGHT,DOWN copies a box of the training picture.")
    ] = None,
    start_scale: Scale = None,
    seeds: Seeds = "0",
    out: Out = Path("edited"),
    device: DeviceOption = "auto",
) -> None:
    """Make a rough edit, or a moved region, seamless."""
    from sase_gan.colours import filed
    from sase_gan.drawing import applications
    from sase_gan.drawing.masks import move_region
    from sase_gan.errors import UsageError
    from sase_gan.networks.load import own_colours
    from sase_gan.pixels import write_png

    opened = _Opened(model, device, seeds, out)
    if move is not None:
        if edited is not None or mask is not None:
            raise UsageError(
                "--move makes the edit and its mask; leave the picture and --mask out, or leave out --move"
            )
        box, offset = _parse_move(move)
        rough, changed = move_region(own_colours(opened.network), box, offset)
        write_png(out / "rough.png", filed(rough), opened.text)
    elif edited is None or mask is None:
        raise UsageError("an edit needs the edited picture and --mask, or --move alone")
    else:
        rough = opened.read(edited)
        changed = _read_mask(mask, rough)
    drawn = applications.edit(opened.network, rough, changed, start_scale, seeds=opened.seeds)
    opened.write(out, drawn, application="edit")


@app.command("paint")
def paint(
    model: Model,
    painting: Annotated[Path, typer.Argument(help="A flat painting.")],
    start_scale: Annotated[
        int | None, typer.Option(help="1 or 2 serve most paintings. [default: 1 if the model was trained, else 2]")
    ] = None,
    colours: Annotated[
        int | None, typer.Option(help="First move it to so many main colours of the training picture.")
    ] = None,
    seeds: Seeds = "0-3",
    size: SizeOption = None,
    out: Out = Path("painted"),
    device: DeviceOption = "auto",
) -> None:
    """Turn a flat painting into a picture of the training picture's texture."""
    from sase_gan.drawing.applications import paint_to_image

    opened = _Opened(model, device, seeds, out)
    drawn = paint_to_image(
        opened.network, opened.read(painting), start_scale, seeds=opened.seeds, size=parse_size(size), colours=colours
    )
    opened.write(out, drawn, application="paint")


@app.command("animate")
def animate(
    model: Model,
    frames: Annotated[int, typer.Option(help="How many.")] = 100,
    start_scale: Annotated[int, typer.Option(help="Stages or levels before it stand still; 0 moves most.")] = 0,
    alpha: Annotated[float, typer.Option(help="Pull towards the training picture, 0 to 1.")] = 0.1,
    beta: Annotated[float, typer.Option(help="Smoothness of the motion, 0 to 1.")] = 0.9,
    frames_per_second: Annotated[int, typer.Option(help="Of the film.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    out: Out = Path("animation"),
    device: DeviceOption = "auto",
) -> None:
    """Let the training picture move: animation.mp4 and animation.gif."""
    from sase_gan.drawing import applications
    from sase_gan.films import check_speed, write_gif, write_mp4

    check_speed(frames_per_second)
    network = _Opened(model, device, out=out).network
    film = applications.animate(network, frames, seed=seed, start_scale=start_scale, alpha=alpha, beta=beta)
    write_mp4(out / "animation.mp4", film, frames_per_second=frames_per_second)
    write_gif(out / "animation.gif", film, frames_per_second=frames_per_second)
    typer.echo(f"{len(film)} frames in {out / 'animation.mp4'} and {out / 'animation.gif'}")


@app.command("tile")
def tile(
    model: Model,
    seeds: Seeds = "0-3",
    size: SizeOption = None,
    repeat: Annotated[int, typer.Option(help="Also show each one so many times side by side; 1: not.")] = 2,
    out: Out = Path("tiles"),
    device: DeviceOption = "auto",
) -> None:
    """Textures that continue seamlessly when laid side by side."""
    from sase_gan.colours import filed
    from sase_gan.drawing import applications
    from sase_gan.networks.pyramid import Pyramid
    from sase_gan.pixels import write_png

    opened = _Opened(model, device, seeds, out)
    if isinstance(opened.network, Pyramid) and opened.network.config.padding != "circular":
        typer.echo(
            "This model learned with borders, which its tiles lack: they may look unlike its samples. The preset "
            "`texture` trains without borders."
        )
    drawn = applications.tile(opened.network, opened.seeds, size=parse_size(size))
    opened.write(out, drawn, application="tile")
    if repeat > 1:
        for seed, image in zip(opened.seeds, filed(drawn), strict=True):
            write_png(out / f"repeated{seed:06d}.png", image.repeat(1, repeat, repeat), opened.text)


@app.command("retarget")
def retarget(
    model: Model,
    size: Annotated[str, typer.Option("--size", help="WIDTHxHEIGHT of the result, such as 800x200.")],
    seeds: Seeds = "0-3",
    out: Out = Path("retargeted"),
    device: DeviceOption = "auto",
) -> None:
    """Another size with objects at their scale (instant models)."""
    from sase_gan.drawing import applications

    opened = _Opened(model, device, seeds, out)
    opened.write(
        out, applications.retarget(opened.network, parse_size(size), seeds=opened.seeds), application="retarget"
    )


@app.command("symmetric")
def symmetric(
    model: Model,
    seeds: Seeds = "0-3",
    size: SizeOption = None,
    out: Out = Path("symmetric"),
    device: DeviceOption = "auto",
) -> None:
    """Pictures that are their own mirror images (instant models)."""
    from sase_gan.drawing import applications

    opened = _Opened(model, device, seeds, out)
    drawn = applications.symmetric(opened.network, opened.seeds, size=parse_size(size))
    opened.write(out, drawn, application="symmetric")


@app.command("analogy")
def analogy(
    model: Model,
    layout: Annotated[Path, typer.Argument(help="The picture whose layout is drawn.")],
    start_scale: Annotated[
        int | None, typer.Option(help="Level at which it enters; finer keeps more of its details. [default: 2]")
    ] = None,
    seeds: Seeds = "0-3",
    size: SizeOption = None,
    out: Out = Path("analogies"),
    device: DeviceOption = "auto",
) -> None:
    """One picture's layout out of the model's picture (instant models)."""
    from sase_gan.drawing import applications

    opened = _Opened(model, device, seeds, out)
    drawn = applications.analogy(
        opened.network, opened.read(layout), seeds=opened.seeds, start_scale=start_scale, size=parse_size(size)
    )
    opened.write(out, drawn, application="analogy")


def _parse_move(text: str) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    from sase_gan.errors import UsageError

    try:
        box, offset = (tuple(int(part) for part in half.split(",")) for half in text.split(":"))
        left, top, width, height = box
        right, down = offset
    except ValueError as error:
        raise UsageError(
            f"move is {text!r}; write LEFT,TOP,WIDTH,HEIGHT:RIGHT,DOWN in pixels, for example 10,20,40,30:60,0"
        ) from error
    return (left, top, width, height), (right, down)


class _Opened:
    """A model of one picture that is open, what every PNG says of it, and the seeds to draw."""

    def __init__(self, model: Path, device: str, seeds: str = "0", out: Path | None = None) -> None:
        from sase_gan.api.models import find_snapshot
        from sase_gan.drawing.sampling import parse_seeds
        from sase_gan.hardware import choose_hardware
        from sase_gan.networks.load import load_one_picture
        from sase_gan.places import try_folder
        from sase_gan.snapshot import snapshot_digest

        if out is not None:
            try_folder(out)
        folder = find_snapshot(model)
        self.network = load_one_picture(folder).to(choose_hardware(device).device)
        self.text = {"snapshot": snapshot_digest(folder)}
        self.seeds = parse_seeds(seeds)

    def read(self, path: Path) -> Any:
        """Read a picture in the model's colours."""
        from sase_gan.colours import read_in

        return read_in(path, self.network.config.colours)

    def write(self, out: Path, images: Any, **more: str) -> None:
        from sase_gan.colours import filed, shown
        from sase_gan.pixels import write_png
        from sase_gan.sheets import SHEET, grid

        text = {**self.text, **more}
        for seed, image in zip(self.seeds, filed(images), strict=True):
            write_png(out / f"seed{seed:06d}.png", image, {**text, "seed": str(seed)})
        write_png(out / "grid.png", grid(shown(images, "checkerboard")), {**text, **SHEET})
        typer.echo(f"{len(images)} pictures of {images.shape[3]}x{images.shape[2]} px in {out}")


def _read_mask(path: Path | None, picture: Any) -> Any:
    """Read a mask in the proportions of the picture that it is about."""
    from sase_gan.masks import read_mask

    return None if path is None else read_mask(path, picture.shape[1:])
