"""What visitors upload: checked before it is decoded, limited in bytes and pixels, and kept only for a training.

gradio hands over paths in the studio's own temporary folder; that such a path is no other one is checked by gradio and
here. Addresses are refused, though gradio would fetch them: nothing is asked for from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from PIL import Image
from torch import Tensor

from sase_gan.colours import Colours, read_in
from sase_gan.datasets.images import Survey, survey
from sase_gan.datasets.sources import open_images
from sase_gan.errors import DataError, SaseGanError, UsageError
from sase_gan.files import write_atomically, write_folder_atomically
from sase_gan.formats import READ_KINDS, decoders, suffixes
from sase_gan.runs.presets import ADVISED_IMAGES, FEWEST_IMAGES

MUSIC = (".wav", ".mp3")
MOST_PICTURES = 5000
SURVEY_SIDE = 64
MOST_UNPACKED = 2 * 2**30
# Far above what training uses, far below what would fill the memory.
MOST_PIXELS = 40_000_000
PAINTING_PIXELS = 4_000_000
MOST_PAINTINGS = 32
PAINTING_BYTES = 16 * 2**20
_UNUSUAL = re.compile(r"[^\w. ()-]+")


def temporary_folder() -> str | None:
    """The server's own folder, from which gradio may serve and which is cleaned."""
    return os.environ.get("GRADIO_TEMP_DIR")


def within_temporary(path: object) -> Path:
    """Find an uploaded file.

    Raises:
        UsageError: if it is not in the studio's temporary folder, or gone.
    """
    folder = temporary_folder()
    found = Path(str(path)).resolve()
    if folder is None or not found.is_relative_to(Path(folder).resolve()):
        raise UsageError("Only files that were uploaded in this page are read.")
    if not found.is_file():
        raise UsageError("The uploaded file is gone, uploads are kept for an hour; upload it again.")
    return found


def read_upload(path: object, colours: Colours = "rgb") -> Tensor:
    """Read an uploaded picture in a model's colours, uint8 `[C, H, W]` as inside.

    Raises:
        UsageError: if nothing was uploaded.
        DataError: if it is no picture, broken, or larger than the limit.
    """
    if path is None:
        raise UsageError("Upload a picture first.")
    found = within_temporary(path)
    with found.open("rb") as file:
        refuse_large(file, found.name, MOST_PIXELS)
    return read_in(found, colours)


def uploaded_music(path: object) -> Path | None:
    """Find an uploaded piece of music; None where there is none.

    Raises:
        DataError: for a file that is neither WAV nor MP3 by its name.
    """
    if path is None or path == "":
        return None
    found = within_temporary(path)
    if found.suffix.lower() not in MUSIC:
        raise DataError(f"{found.name} is no music by its name; WAV and MP3 files are read")
    return found


def refuse_large(source: Any, name: str, most: int) -> None:
    """Look at a picture's header and refuse it before decoding.

    Raises:
        DataError: if it is no picture, or has more than `most` pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(source, formats=decoders()) as image:
                width, height = image.size
        except Image.DecompressionBombError:
            width = height = 2**16
        except Exception as error:
            raise DataError(f"{name} is no picture that can be read; {READ_KINDS} are read") from error
    if width * height > most:
        size = f"{width * height / 1e6:.0f} megapixels where {most // 10**6} are allowed"
        raise DataError(f"{name} has {size}; scale it down first")


def uploaded_set(files: object) -> list[Path]:
    """Check the files of an uploaded set: pictures, or one zip.

    Raises:
        UsageError: for nothing, or a mixture.
        DataError: for too many pictures, or a zip that is none or unpacks to too much.
    """
    if not isinstance(files, list | tuple) or not files:
        raise UsageError("Upload pictures or a zip of pictures first.")
    paths = [within_temporary(file) for file in files]
    zips = [path for path in paths if path.suffix.lower() == ".zip"]
    if zips and len(paths) > 1:
        raise UsageError("Upload either one zip or pictures, not both.")
    if zips:
        _check_zip(zips[0])
    elif len(paths) > MOST_PICTURES:
        raise DataError(f"{len(paths)} pictures were uploaded; {MOST_PICTURES:,} are allowed here")
    elif all(suffix_of(path.name) not in suffixes() for path in paths):
        raise DataError(f"{paths[0].name} is no picture by its name; {READ_KINDS} are read, or a zip")
    return paths


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{path.name} is not a readable zip; make it anew, or upload the pictures") from error
    if len(members) > MOST_PICTURES:
        raise DataError(f"{path.name} has {len(members):,} members; {MOST_PICTURES:,} are allowed here")
    # Reading stops at the size that a member's header gives, so the sum holds for what is really unpacked.
    unpacked = sum(member.file_size for member in members)
    if unpacked > MOST_UNPACKED:
        raise DataError(f"{path.name} unpacks to {unpacked / 2**30:.1f} GiB; {MOST_UNPACKED // 2**30} are allowed here")


def gather(paths: Sequence[Path], folder: Path) -> Path:
    """Put an uploaded set down as `folder` or, a zip, as `folder.zip`; names are made harmless and kept apart.

    Raises:
        DataError: if an upload is gone meanwhile.
    """
    try:
        if paths[0].suffix.lower() == ".zip":
            folder.parent.mkdir(parents=True, exist_ok=True)
            return shutil.copyfile(paths[0], folder.with_name(f"{folder.name}.zip"))
        with write_folder_atomically(folder) as temporary:
            for number, path in enumerate(paths, start=1):
                name = harmless(path.name)
                taken = (temporary / name).exists()
                shutil.copyfile(path, temporary / (f"{number:04d} {name}" if taken else name))
    except FileNotFoundError as error:
        raise DataError("the uploaded pictures are gone, uploads are kept for an hour; upload them again") from error
    return folder


def harmless(name: str) -> str:
    """Make a file name of letters, digits and a few signs, with its suffix; never hidden, never a path."""
    stem, suffix = os.path.splitext(os.path.basename(name))
    return f"{_UNUSUAL.sub('_', stem).strip(' .')[:80] or 'picture'}{suffix.lower()}"


def survey_set(path: Path, image_size: int, fit: Any, progress: Any = None) -> Survey:
    """Read a gathered set at one size; pictures that cannot be read, or are far too large, are told in the result.

    What is too large is taken out of the set, which is a copy of what was uploaded, before anything is decoded.

    Raises:
        DataError: if no picture is left.
    """
    source = open_images(path)
    large: dict[str, str] = {}
    for index, name in enumerate(source.names):
        with source.open(index) as file:
            try:
                refuse_large(file, name, MOST_PIXELS)
            except DataError as error:
                if "megapixels" in str(error):
                    large[name] = str(error)
    strange = () if path.is_file() else sorted({each.name for each in path.iterdir()} - set(source.names))
    if len(large) == len(source.names):
        raise DataError(next(iter(large.values())))
    if large:
        keep_only(path, set(source.names) - set(large))
        source = open_images(path)
    found = survey(source, image_size=image_size, fit=fit, progress=progress)
    named = tuple(f"{name} is no picture by its name" for name in strange if suffix_of(name) not in suffixes())
    return replace(found, broken=(*large.values(), *named, *found.broken))


def keep_only(path: Path, names: Collection[str]) -> None:
    """Leave of a gathered set, a folder or a zip, the pictures of these names alone."""
    if path.is_dir():
        for each in path.iterdir():
            if each.name not in names:
                each.unlink()
        return
    source = open_images(path)
    with write_atomically(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for index, name in enumerate(source.names):
            if name in names:
                with source.open(index) as file:
                    archive.writestr(name, file.read())


def suffix_of(name: str) -> str:
    """Take the end of a file's name, from the last full stop."""
    return os.path.splitext(name)[1].lower()


def next_set(folder: Path, name: str) -> Path:
    """The first free place for a set of this name, be it a folder or a zip."""
    number = 1
    while any((folder / f"{name}-{number:03d}{suffix}").exists() for suffix in ("", ".zip")):
        number += 1
    return folder / f"{name}-{number:03d}"


def count_pictures(files: object) -> int:
    """Count the pictures of an upload by their names, those in a zip too; 0 for nothing, or what is refused later."""
    try:
        paths = uploaded_set(files)
        known = suffixes()
        zipped = suffix_of(paths[0].name) == ".zip"
        return len(open_images(paths[0]).names if zipped else [p for p in paths if suffix_of(p.name) in known])
    except SaseGanError:
        return 0


def keep_set(
    paths: Sequence[Path],
    name: str,
    folder: Path,
    *,
    least: int = FEWEST_IMAGES,
    tell: Callable[[str], None] = lambda words: None,
) -> Path:
    """Put the pictures of an uploaded set down for good: a run that goes on needs them again. One alone is a file.

    Args:
        least: so many pictures are required.
        tell: hears which could not be read and are left out, in a sentence.

    Raises:
        UsageError: for too few pictures that can be read; nothing is kept then.
        DataError: if an upload is gone meanwhile.
    """
    kept = gather(paths, next_set(folder, name))
    try:
        found = survey_set(kept, SURVEY_SIDE, "crop")
        names = () if found.images is None else found.images.names
        if len(names) < least:
            wanted = f"at least {least} are required to train a network, and {ADVISED_IMAGES} or more are better"
            missing = f"; {found.broken[0]}" if found.broken else ""
            raise UsageError(f"{len(names)} pictures were uploaded that can be read; {wanted}{missing}.")
    except SaseGanError:
        if kept.is_dir():
            shutil.rmtree(kept, ignore_errors=True)
        else:
            kept.unlink(missing_ok=True)
        raise
    if found.broken:
        keep_only(kept, names)
        tell(left_out_words(found.broken))
    return next(kept.iterdir()) if kept.is_dir() and len(names) == 1 else kept


def left_out_words(broken: Sequence[str]) -> str:
    """Say which uploads are left out, of sentences about each."""
    more = f" And {len(broken) - 1} more." if len(broken) > 1 else ""
    return f"{len(broken)} cannot be read and {'is' if len(broken) == 1 else 'are'} left out: {broken[0]}.{more}"


def keep_picture(path: Path, name: str, folder: Path) -> Path:
    """Put an uploaded picture down for good: a run that goes on needs it again.

    Raises:
        DataError: if it is gone meanwhile.
    """
    target = next_set(folder, name) / harmless(path.name)
    target.parent.mkdir(parents=True)
    try:
        return shutil.copyfile(path, target)
    except FileNotFoundError as error:
        raise DataError("the uploaded picture is gone, uploads are kept for an hour; upload it again") from error


def guard_components() -> None:
    """Make gradio's components refuse what we have not looked at, once for the process.

    In their classes, because gradio makes a component anew for a visitor whenever it is updated, without a guard of its
    own:

    * no address is fetched, though gradio would;
    * a picture is handed on as a path, so that `read_upload` decodes it and not gradio;
    * a painting's parts are limited in size and number, of which gradio keeps any and for ever;
    * numbers and what is chosen from a list are checked by the handlers, whose lists are those of now and whose words
      are for people.
    """
    if getattr(gr.ImageEditor, "_is_guarded", False):
        return
    move = Block.async_move_resource_to_block_cache
    accept, preprocess_painting = gr.ImageEditor.accept_blobs, gr.ImageEditor.preprocess
    preprocess_image = gr.Image.preprocess

    async def refuse_addresses(self: Block, path: Any) -> Any:
        if path is not None and "://" in str(path)[:32]:
            raise gr.Error("Addresses are not read; upload a file.", print_exception=False)
        return await move(self, path)

    def hand_on(self: gr.Image, payload: Any) -> Any:
        if self.type != "filepath":
            return preprocess_image(self, payload)
        return None if payload is None else payload.path

    def accept_few(self: gr.ImageEditor, data: Any) -> None:
        check_blob(data)
        accept(self, data)
        while len(self.blob_storage) > MOST_PAINTINGS:
            self.blob_storage.pop(next(iter(self.blob_storage)))

    def look_first(self: gr.ImageEditor, payload: Any) -> Any:
        if payload is not None:
            check_painting(payload if payload.id is None else self.blob_storage.get(payload.id))
        return preprocess_painting(self, payload)

    accept_few._is_server_fn = True  # type: ignore[attr-defined]
    Block.async_move_resource_to_block_cache = refuse_addresses  # type: ignore[method-assign, assignment]
    gr.Image.preprocess = hand_on  # type: ignore[method-assign]
    gr.ImageEditor.accept_blobs = accept_few  # type: ignore[method-assign]
    gr.ImageEditor.preprocess = look_first  # type: ignore[method-assign]
    for component in (gr.Dropdown, gr.Radio, gr.CheckboxGroup, gr.Number, gr.Slider):
        component.preprocess = lambda self, payload: payload  # type: ignore[method-assign]
    gr.ImageEditor._is_guarded = True  # type: ignore[attr-defined]


def check_blob(data: Any) -> None:
    """Refuse a part of a painting that is too large, or that would make gradio reserve a list of its index's length.

    Raises:
        gr.Error: for such a part.
    """
    index, content = str(data.data.get("index") or "0"), data.files[0][1] if data.files else b""
    if not (index == "null" or (index.isdecimal() and int(index) < 8)) or len(content) > PAINTING_BYTES:
        raise gr.Error("This is not a painting of this page.", print_exception=False)


def check_painting(painting: Any) -> None:
    """Look at the headers of all parts of a painting before gradio decodes them.

    Raises:
        gr.Error: if one is no picture, or too large.
    """
    for part in [] if painting is None else [painting.background, painting.composite, *painting.layers]:
        if part is not None:
            try:
                refuse_large(BytesIO(part) if isinstance(part, bytes) else part.path, "the painting", PAINTING_PIXELS)
            except DataError as error:
                raise gr.Error(f"{str(error).capitalize()}.", print_exception=False) from error
