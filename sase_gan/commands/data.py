"""`sase-gan data check | prepare | preview | fetch | bundled`: look at pictures before training, and prepare them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sase_gan.commands.bundled import bundled
from sase_gan.commands.fetch import fetch
from sase_gan.commands.options import BackgroundOption, former_names
from sase_gan.fits import FIT_HELP, Fit

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

    from sase_gan.datasets.images import Survey
    from sase_gan.datasets.sources import ImageSource
    from sase_gan.pixels import Colour

app = typer.Typer(no_args_is_help=True, help="Check, prepare, preview and fetch the pictures to train on.")
app.command("fetch")(fetch)
app.command("bundled")(bundled)

PathArgument = Annotated[Path, typer.Argument(help="A folder of pictures (nested too), a zip of them, or one picture.")]
FitOption = Annotated[Fit, typer.Option(help=FIT_HELP)]

# The pictures are looked at in this size: enough to find duplicates, little memory for thousands of them.
_SURVEY_SIZE = 64


@app.command()
def check(
    path: PathArgument,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the training pictures in pixels; recommended if left out.")
    ] = None,
    fit: FitOption = "crop",
    background: BackgroundOption = None,
) -> None:
    """Read every picture; report sizes, formats, duplicates, everything unreadable, and what to do about it.

    Nothing is changed. The exit code is 4 when a picture cannot be read.
    """
    from rich.console import Console

    from sase_gan.api.progress import shown
    from sase_gan.datasets.images import survey
    from sase_gan.datasets.sources import open_images
    from sase_gan.errors import DataError
    from sase_gan.progress import named
    from sase_gan.runs.presets import ADVISED_IMAGES, recommend_image_size

    console = Console()
    source = open_images(path, background=_colour(background))
    with shown(True) as bars:
        found = survey(source, image_size=_SURVEY_SIZE, fit=fit, progress=named(bars, "reading"))
    if found.images is not None:
        target = image_size or recommend_image_size([min(size) for size in found.sizes])
        _print_table(console, str(path), found)
        _print_list(console, "Classes", _classes_of(source))
        pairs = [f"{pair.first} = {pair.second} ({pair.kind})" for pair in found.images.notes.duplicates]
        more = [f"and {len(pairs) - 20} more pairs"] if len(pairs) > 20 else []
        _print_list(console, "Duplicates", [*pairs[:20], *more])
        advice = advise(found, target, chosen=image_size is not None, path=str(path))
        if len(found.images) >= ADVISED_IMAGES:
            advice.insert(1, _preset_here(found, image_size))
        _print_list(console, "Advice", advice)
    _print_list(console, "Unreadable pictures", found.broken)
    if found.broken:
        among = f"of {len(source)} pictures" if not source.broken else "pictures and folders"
        raise DataError(
            f"{len(found.broken)} {among} in {path} cannot be read; replace or remove the ones listed above"
        )


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="A folder, zip or picture, or a film (MP4, MOV, MKV, WebM ...).")],
    destination: Annotated[Path, typer.Argument(help="The prepared set to write; its name ends in .zip.")],
    image_size: Annotated[int, typer.Option(min=1, help="Side of the prepared pictures in pixels.")],
    fit: FitOption = "crop",
    background: BackgroundOption = None,
    max_images: Annotated[int | None, typer.Option(min=1, help="Take the first ones by name only.")] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a film: take every n-th frame, but none that looks like another. [default: one each half second]",
        ),
    ] = None,
    interesting: Annotated[
        bool,
        typer.Option(
            "--interesting", help="Crop the square with the most edges and unusual colours, not the middle one."
        ),
    ] = False,
    unique: Annotated[
        bool, typer.Option("--unique", help="Keep one of each group of duplicates, mirror images too.")
    ] = False,
    balance: Annotated[
        bool, typer.Option("--balance", help="Keep as many pictures of each sub-folder as the smallest has.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the choice for --balance.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing destination.")] = False,
) -> None:
    """Write all pictures, or the frames of a film, square and of one size, into a zip of PNGs that loads fast."""
    from sase_gan.api.prepare import Preparation, prepare_set
    from sase_gan.api.progress import shown
    from sase_gan.datasets.images import write_image_set
    from sase_gan.datasets.notes import losses_in_words
    from sase_gan.errors import UsageError
    from sase_gan.places import try_file

    if destination.suffix.lower() != ".zip":
        raise UsageError(f"the destination is {destination}; its name must end in .zip, for example {destination}.zip")
    if destination.exists() and not force:
        raise UsageError(f"{destination} exists already; choose another name or add --force to replace it")
    try_file(destination)
    with shown(True) as bars:
        wanted = Preparation(fit, max_images, every, interesting, unique, balance, seed)
        images, choices = prepare_set(source, image_size, wanted, background=_colour(background), progress=bars)
    write_image_set(images.images, images.names, destination)
    lines = [f"{destination}: {len(images)} pictures of {image_size} x {image_size}", *choices]
    lines.append(f"digest of the pixels: {images.digest}")
    if upscaled := images.notes.upscaled:
        lines.append(f"{_pictures(len(upscaled), 'had', 'had')} to be enlarged, which blurs: {_some(upscaled)}")
    lines += losses_in_words(images.notes, len(images))
    _print_lines(lines)


@app.command(cls=former_names())
def preview(
    path: PathArgument,
    former_out: Annotated[Path | None, typer.Argument(hidden=True, help="Former spelling of --out.")] = None,
    out: Annotated[Path, typer.Option(help="The PNG to write.")] = Path("preview.png"),
    image_size: Annotated[int, typer.Option(min=1, help="Side of the pictures in pixels, as training will use.")] = 128,
    fit: FitOption = "crop",
    background: BackgroundOption = None,
    count: Annotated[int, typer.Option(min=1, help="How many pictures at most, spread evenly over the set.")] = 64,
    augment: Annotated[
        str | None,
        typer.Option(help="Also show what the discriminator would see, for example color,translation,cutout."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the augmentation.")] = 0,
) -> None:
    """Write a contact sheet of the pictures as training will see them.

    With --augment a second file, NAME-augmented.png, has a row for each of eight pictures: itself, then augmented.
    """
    from sase_gan.api.progress import shown
    from sase_gan.datasets.images import load_image_set
    from sase_gan.datasets.notes import losses_in_words
    from sase_gan.errors import UsageError
    from sase_gan.pixels import write_png
    from sase_gan.places import try_file
    from sase_gan.progress import named
    from sase_gan.sheets import SHEET, grid

    out = former_out or out
    if out.suffix.lower() != ".png":
        raise UsageError(f"the preview is to be written to {out}; its name must end in .png")
    try_file(out)
    with shown(True) as bars:
        told = named(bars, "reading")
        found = load_image_set(path, image_size=image_size, fit=fit, background=_colour(background), progress=told)
    images = found.images
    sheets = {out: grid(_evenly(images, count))}
    if augment is not None:
        rows = _augmented_rows(_evenly(images, 8), augment, seed)
        sheets[out.with_name(f"{out.stem}-augmented{out.suffix}")] = grid(rows, columns=8)
    for name, sheet in sheets.items():
        write_png(name, sheet, SHEET)
    _print_lines([*(f"wrote {name}" for name in sheets), *losses_in_words(found.notes, len(found))])


def _classes_of(source: "ImageSource") -> list[str]:
    """Tell what could be classes, and what keeps labels that are there from being some."""
    from sase_gan.datasets.classes import LABEL_SOURCES, LABELS_FILE, read_labels
    from sase_gan.errors import DataError

    lines = []
    for how in LABEL_SOURCES:
        try:
            lines.append(f"{read_labels(source, how).words()} (train --classes {how})")
        except DataError as error:
            if how == LABELS_FILE and source.beside(LABELS_FILE, 2**40) is not None:
                lines.append(f"{error}")
    return lines


def advise(found: "Survey", image_size: int, *, chosen: bool, path: str) -> list[str]:
    """Sentences about what to do with a set that has at least one readable picture.

    Args:
        chosen: the user asked for this image size, so it is not recommended.
    """
    from sase_gan.datasets.notes import losses_in_words

    assert found.images is not None
    notes, count = found.images.notes, len(found.images)
    small = sum(min(size) < image_size for size in found.sizes)
    sentences = {
        _advice_on_count(count, path): True,
        f"The pictures are large enough for {image_size} px (--image-size {image_size}).": not chosen and count > 1,
        f"{_pictures(small, 'is', 'are')} smaller than {image_size} px: enlarging blurs.": small,
        "Pictures that are not square lose their margins with --fit crop and get bars with --fit pad; "
        "'sase-gan data preview' shows it.": notes.non_square_share,
        f"{_pictures(notes.jpeg_sources, 'is', 'are')} JPEG: a generator learns the artefacts too; take lossless "
        "originals if you have them.": notes.jpeg_sources,
        "Remove one picture of each duplicate pair: copies in the set spoil the check for copying.": notes.duplicates,
        "The set mixes colour and grey pictures; the generator will too.": 0 < notes.grey_share < 1,
        "Transparent pixels are shown on the background, white if not chosen.": notes.transparent_share,
    }
    told = [sentence for sentence, applies in sentences.items() if applies]
    return [*told, *(f"{line[0].upper()}{line[1:]}." for line in losses_in_words(notes, count))]


def _advice_on_count(count: int, path: str) -> str:
    from sase_gan.runs.presets import ADVISED_IMAGES

    if count == 1:
        return (
            f"One picture: 'sase-gan train {path}' draws new arrangements of it at once, without training; with "
            "--preset quick or standard a network learns its inner statistics."
        )
    if count < ADVISED_IMAGES:
        return (
            f"{count} pictures are very few: 'sase-gan train {path}' draws new arrangements of them at once, without "
            f"training. Of a network (--preset cpu or gpu) expect near copies; {ADVISED_IMAGES} or more are better."
        )
    if count <= 1000:
        return f"{count} pictures suit low-shot training: 'sase-gan train {path}'."
    if count <= 5000:
        return f"{count} pictures are more than low-shot training needs, and welcome: 'sase-gan train {path}'."
    return f"{count} pictures are many: methods made for large sets may do better."


def _preset_here(found: "Survey", image_size: int | None) -> str:
    """What `train` decides by itself on this machine."""
    from sase_gan.hardware import choose_hardware
    from sase_gan.runs.presets import choose_preset

    gpu = choose_hardware().kind != "cpu"
    choice = choose_preset(len(found.sizes), min(min(size) for size in found.sizes), gpu=gpu, image_size=image_size)
    return f"On this machine training takes the preset {choice.preset} by itself ({choice.reason})."


def _print_table(console: "Console", path: str, found: "Survey") -> None:
    from rich.markup import escape
    from rich.table import Table

    assert found.images is not None
    notes = found.images.notes
    count = len(found.images)
    kinds = [pair.kind for pair in notes.duplicates]
    distinct = len(set(found.sizes))
    sizes = f"all {found.sizes[0][0]} x {found.sizes[0][1]}" if distinct == 1 else f"{distinct} different"
    table = Table(title=escape(path), show_header=False, title_justify="left")
    table.add_row("Pictures", f"{count} readable, {len(found.broken)} unreadable")
    table.add_row("Sizes", f"{sizes}; shortest side {notes.smallest_side}, longest {notes.largest_side} px")
    table.add_row("Not square", _share(notes.non_square_share, count))
    table.add_row("From JPEG", _share(notes.jpeg_sources / count, count))
    table.add_row("Without colour", _share(notes.grey_share, count))
    table.add_row("With transparency", _share(notes.transparent_share, count))
    table.add_row("Duplicate pairs", ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("exact", "near", "mirrored")))
    table.add_row("Other files", str(sum(len(kind.names) for kind in notes.left_out)))
    console.print(table)


def _print_list(console: "Console", title: str, lines: "list[str] | tuple[str, ...]") -> None:
    if lines:
        console.print(f"\n[bold]{title}[/bold]")
    for line in lines:
        console.print(f"  - {line}", markup=False, highlight=False, soft_wrap=True)


def _print_lines(lines: list[str]) -> None:
    """Plain text: paths are not broken at the terminal's width, and square brackets in them are no markup."""
    from rich.console import Console

    Console().print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _colour(text: str | None) -> "Colour":
    from sase_gan.pixels import WHITE, parse_colour

    return WHITE if text is None else parse_colour(text)


def _share(share: float, count: int) -> str:
    return f"{round(share * count)} ({share:.0%})"


def _pictures(count: int, one: str, several: str) -> str:
    """So many pictures with the verb that fits."""
    return f"1 picture {one}" if count == 1 else f"{count} pictures {several}"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def _evenly(images: "Tensor", count: int) -> "Tensor":
    """At most `count` of the pictures, spread evenly, the first among them."""
    count = min(count, len(images))
    return images[[index * len(images) // count for index in range(count)]]


def _augmented_rows(images: "Tensor", policy: str, seed: int) -> "Tensor":
    """uint8 [8 * N, 3, S, S]: each picture followed by seven augmented versions of it."""
    from sase_gan.errors import UsageError
    from sase_gan.pixels import to_float, to_uint8
    from sase_gan.seeds import generator
    from sase_gan.training.augment import augment

    names = [name.strip() for name in policy.split(",") if name.strip()]
    if not names:
        raise UsageError(f"--augment is {policy!r}; name at least one of color, translation, cutout")
    rows = images.repeat_interleave(8, 0)
    try:
        augmented = to_uint8(augment(to_float(rows), names, generator=generator(seed, "preview")))
    except ValueError as error:
        raise UsageError(str(error)) from error
    augmented[::8] = images
    return augmented
