"""What the tab Train does: look at pictures, and start, stop and go on with trainings on sets of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from sase_gan.datasets.sources import bundled_data, open_images
from sase_gan.errors import UsageError
from sase_gan.fits import sides
from sase_gan.markdown import escaped
from sase_gan.networks.channel_tables import IMAGE_SIZES
from sase_gan.networks.discriminator_file import DISCRIMINATOR_FILE
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.presets import ADVISED_IMAGES, FEWEST_IMAGES
from sase_gan.sheets import grid
from sase_gan.snapshot import WEIGHTS_FILE, read_header
from sase_gan.ui.checks import chosen, number, seed_number, sentences, time_limit, whole_number
from sase_gan.ui.entries import GENERATOR, Entry
from sase_gan.ui.events import BAR, reporter
from sase_gan.ui.models import Models
from sase_gan.ui.pictures import picture
from sase_gan.ui.training_view import describe_survey, start_sentence, status_sentence
from sase_gan.ui.trainings import Trainings, checked_name
from sase_gan.ui.uploads import (
    SURVEY_SIDE,
    count_pictures,
    gather,
    keep_set,
    survey_set,
    temporary_folder,
    uploaded_set,
)

PRESETS = {
    "auto": "Automatic",
    "cpu": "A narrow network",
    "gpu": "The full network, for a GPU",
    "smoke/low_shot": "A try-out of seconds",
}
SETS = {"faces": "emoji-faces", "fruits": "fruits-and-flowers"}
"""Bundled sets by what they are called here."""
SOURCES = ("upload", *SETS)
AUTO, INSTANT, NETWORK = "auto", "instant", "network"
WAYS = (AUTO, INSTANT, NETWORK)
FITS = ("crop", "pad")
COLOURS = {AUTO: "Automatic", "rgb": "Coloured", "grey": "Grey", "rgba": "With transparency"}
NO_START = ""
AUTOMATIC = 0
RECTANGLES = ("96x64", "64x96", "128x64", "64x128", "192x128", "128x192")
"""Width and height of what is no square; the command line takes any other."""
MOST_PREVIEWED = 96
START = "Start"
# On a CPU a snapshot each thousand images is one each minute: the eye learns more from them than from curves.
LIVE_OPTIONS = ("--set", "schedule.snapshot_images=1000", "--set", "schedule.log_images=200")


@dataclass(frozen=True)
class Looked:
    """What pictures are like, as words and as a sheet, the sheet's place, and what the button to start says."""

    words: str
    preview: Image.Image | None
    place: Any
    start: str


class TrainHandlers:
    """What the tab does."""

    def __init__(self, trainings: Trainings, models: Models) -> None:
        self.trainings, self.models = trainings, models

    @sentences
    def check(
        self, source: str = "faces", files: list[str] | None = None, fit: str = "crop", progress: gr.Progress = BAR
    ) -> tuple[str, Image.Image | None]:
        """Read pictures as a training would and say what they are like; nothing is kept.

        Args:
            source: "upload" for the uploaded files, "faces" or "fruits" for bundled pictures.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
        """
        looked = self.look(source, files, fit, progress)
        return looked.words, looked.preview

    @sentences
    def look(
        self, source: str = "faces", files: list[str] | None = None, fit: str = "crop", progress: gr.Progress = BAR
    ) -> Looked:
        """Check pictures as `check` does, and say on the button what is left out; nothing while none are chosen."""
        if source == "upload" and not files:
            return Looked("", None, gr.update(visible=False), START)
        how = chosen(fit, FITS, "The way to a square")
        with tempfile.TemporaryDirectory(dir=temporary_folder()) as scratch:
            path = _pictures(source, files, lambda paths, folder: gather(paths, folder / "set"))(Path(scratch))
            found = survey_set(path, SURVEY_SIDE, how, reporter(progress, "reading the pictures"))
        # What lies beside bundled pictures is no mistake of the visitor's; and where uploads lie is no word for one.
        told = () if source in SETS else tuple(each.removeprefix("set: ") for each in found.broken)
        found = replace(found, broken=told)
        if found.images is None:
            return Looked(describe_survey(found), None, gr.update(visible=False), START)
        images, broken = found.images.images, len(found.broken)
        shown = images[:: max(1, len(images) // MOST_PREVIEWED)][:MOST_PREVIEWED]
        words = f"Leave out {broken} unreadable file{'s' * (broken > 1)} and start" if broken else START
        sheet = picture(grid(shown, columns=12))
        return Looked(describe_survey(found), sheet, gr.update(value=sheet, visible=True), words)

    @sentences
    def start(
        self,
        source: str = "faces",
        files: list[str] | None = None,
        name: str = "my run",
        minutes: float = 20,
        image_size: int | str = AUTOMATIC,
        fit: str = "crop",
        kimg: float = 0,
        seed: float = 0,
        preset: str = "auto",
        way: str = "auto",
        colours: str = "auto",
        start_from: str = NO_START,
        freeze: float = 0,
        rate_factor: float = 1,
    ) -> str:
        """Make a model in a process of its own, at once or by training; returns a sentence.

        Args:
            source: "upload" for the uploaded files, "faces" or "fruits" for bundled pictures.
            name: Of the run, 1 to 40 letters, digits, spaces, hyphens or underscores; a number is added.
            minutes: Time limit, 0.1 to 10080; the run can be gone on with later.
            image_size: Side of squares, or "WIDTHxHEIGHT" of the list; 0 chooses a side by itself.
            fit: How pictures become square: "crop" the middle, or "pad" with white.
            kimg: Thousand images to see at most; 0 for the preset's.
            preset: Of a network: "auto" chooses by the pictures and the machine; "smoke/low_shot" is a try-out of
                seconds.
            way: "instant" makes an instant model, which contains the pictures and draws at once, and to which minutes,
                kimg and preset mean nothing; "network" trains one; "auto" makes an instant model of fewer than 30
                pictures where no preset is named.
            colours: "rgb", "grey" or "rgba", which learns transparency too; "auto" is that of the model that it starts
                from, or rgb.
            start_from: A trained model of the list that a network starts from; "" for none.
            freeze: So many first layers of its discriminator do not learn, 0 to 16.
            rate_factor: Both learning rates times this, 0.01 to 10.

        Raises:
            UsageError: for what no such training takes.
        """
        stem, limit = checked_name(name), time_limit(minutes)
        size = chosen(image_size, (AUTOMATIC, *IMAGE_SIZES, *RECTANGLES), "The image size")
        options = ["--fit", chosen(fit, FITS, "The way to a square"), "--seed", str(seed_number(seed))]
        known = chosen(preset, tuple(PRESETS), "The preset")
        most, instant = _thousand_images(kimg), self._is_instant(way, source, files, known)
        more = self._network_options(colours, start_from, freeze, rate_factor, instant=instant)
        least = 1 if instant else FEWEST_IMAGES
        left_out: list[str] = []
        keep = partial(keep_set, least=least, tell=left_out.append)
        prepare = _pictures(source, files, lambda paths, folder: keep(paths, stem, folder))
        if instant:
            alone = source == "upload" and count_pictures(files) == 1
            options = [*_instant_options(size, options[:2], options[2:], alone=alone), *more]
            return start_sentence(self.trainings.start(prepare, stem, options, instant=True), left_out)
        options += LIVE_OPTIONS if known == "auto" else ("--preset", known)
        options += [] if size == AUTOMATIC else ["--image-size", str(size)]
        options += [*more, *([] if most is None else ["--kimg", f"{most:g}"])]
        return start_sentence(self.trainings.start(prepare, stem, options, minutes=limit), left_out)

    def _network_options(
        self, colours: object, start_from: object, freeze: object, rate_factor: object, *, instant: bool
    ) -> list[str]:
        """What is asked for of networks alone, as options of `sase-gan train`.

        Raises:
            UsageError: for what an instant model, or the model that is started from does not allow.
        """
        wanted = chosen(colours, tuple(COLOURS), "The colours")
        layers = whole_number(freeze, 0, 16, "The number of frozen layers")
        factor = number(rate_factor, 0.01, 10, "The factor of the rates")
        if not isinstance(start_from, str):
            raise UsageError(f"The model to start from is {str(start_from)[:40]}; choose one of the list, or none.")
        if instant and start_from:
            raise UsageError("An instant model starts from no other model; choose 'Train a network' for that.")
        options = [] if wanted == AUTO else ["--colours", str(wanted)]
        if not start_from:
            if layers:
                raise UsageError("Frozen layers are those of a model that is started from; choose one, or freeze 0.")
            return options
        folder = starting_place(self.models.find(start_from, GENERATOR), wanted, layers)
        options += ["--from", str(folder), "--rate-factor", f"{factor:g}"]
        return [*options, *(["--freeze", str(layers)] if layers else [])]

    def _is_instant(self, way: object, source: object, files: object, preset: str) -> bool:
        how = chosen(way, WAYS, "The way")
        return how == INSTANT or (how == AUTO and preset == AUTO and self.advised(source, files)[0] == INSTANT)

    def advised(self, source: object, files: object) -> tuple[str, str]:
        """Advise a way for pictures as `sase-gan train` chooses it, and why in one sentence."""
        bundled = SETS.get(str(source))
        count = count_pictures(files) if bundled is None else len(open_images(bundled_data(bundled)).names)
        if count == 0:
            return INSTANT, ""
        if count >= ADVISED_IMAGES:
            return NETWORK, f"{count} pictures are enough to train a network; an instant model of them draws at once."
        what = "One picture draws" if count == 1 else f"{count} pictures draw"
        return INSTANT, f"{what} best at once, without training; a network would mostly learn near copies."

    @sentences
    def resume(self, run: str, minutes: float = 20, kimg: float = 0) -> str:
        """Go on with a run.

        Args:
            minutes: Time limit, 0.1 to 10080; a run on one picture goes on to its last stage.
            kimg: Thousand images to see at most, from the run's beginning; 0 for what was configured.
        """
        limit = time_limit(minutes)
        job = self.trainings.resume(run, minutes=limit, kimg=_thousand_images(kimg))
        return f"Going on with **{escaped(job.run)}**."

    @sentences
    def stop(self) -> str:
        """Stop the training after its step; everything is saved. Returns what that means for it, as a sentence."""
        return escaped(status_sentence(self.trainings.stop()))

    @sentences
    def status(self) -> str:
        """Say how far the training is that was started last."""
        state = self.trainings.state()
        return "No training was started here yet." if state is None else status_sentence(state)


def starting_place(entry: Entry, colours: str, layers: int) -> Path:
    """Where a training starts from: the run, which has its discriminator, or the snapshot.

    Raises:
        UsageError: for other colours than the model's, or layers to freeze of a discriminator that is not there.
    """
    own = read_header(entry.folder / WEIGHTS_FILE)["network"].get("colours", "rgb")
    if colours not in (AUTO, own):
        raise UsageError(
            f"The colours are {colours}, and those of {entry.name} are {own}; choose Automatic, or start from another."
        )
    run = None if entry.run is None or entry.name != entry.run.name else RunFolder(entry.run)
    if run is not None and run.checkpoint.exists():
        return run.path
    if layers and not (entry.folder / DISCRIMINATOR_FILE).exists():
        raise UsageError(
            f"The model {entry.name} comes without its discriminator; freeze 0 layers, or start from a run."
        )
    return entry.folder


def _pictures(source: object, files: object, put: Callable[[list[Path], Path], Path]) -> Callable[[Path], Path]:
    """Make, of a source, what puts its pictures into a folder, where they are not there already, and says where."""
    if (known := chosen(source, SOURCES, "The source of pictures")) in SETS:
        bundled = bundled_data(SETS[known])
        return lambda folder: bundled
    return partial(put, uploaded_set(files))


def _instant_options(size: int | str, fit: list[str], seed: list[str], *, alone: bool) -> list[str]:
    """The options of an instant model; one picture keeps its proportions, and its size is that of the longer side."""
    if alone and isinstance(size, str):
        size = max(sides(size))
    sized = [] if size == AUTOMATIC else ["--max-size" if alone else "--image-size", str(size)]
    return [*seed, *sized, *([] if alone else fit)]


def _thousand_images(kimg: object) -> float | None:
    return None if kimg == 0 else number(kimg, 0.01, 1e6, "Thousand images")
