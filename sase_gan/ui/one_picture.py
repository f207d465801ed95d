"""What the tab One picture does: train on a picture; then other sizes, harmonising, editing, painting, animation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from sase_gan.colours import checkerboard, filed, shown
from sase_gan.datasets.sources import bundled_data
from sase_gan.drawing.applications import last_scale
from sase_gan.drawing.masks import main_colours
from sase_gan.markdown import escaped
from sase_gan.networks.load import own_colours, own_picture
from sase_gan.networks.pyramid import Pyramid
from sase_gan.pixels import to_pillow
from sase_gan.recombination.model import Recombiner
from sase_gan.resizing import at_size
from sase_gan.ui.checks import chosen, sentences, time_limit, whole_number
from sase_gan.ui.entries import OF_ONE_PICTURE
from sase_gan.ui.events import listed_anew
from sase_gan.ui.models import Models
from sase_gan.ui.picture_drawing import NUM_COLOURS, PictureDrawing
from sase_gan.ui.pictures import ENLARGED_SIDE, canvas, picture
from sase_gan.ui.set_training import AUTO, COLOURS
from sase_gan.ui.tracing import CONTAINS_ONE
from sase_gan.ui.training_view import start_sentence, status_sentence
from sase_gan.ui.trainings import Trainings, checked_name
from sase_gan.ui.uploads import keep_picture, read_upload, within_temporary

BUNDLED = ("coffee", "hubble_deep_field", "rocket")
SOURCES = ("upload", *BUNDLED)
INSTANT = "instant"
SPEEDS = {
    INSTANT: "At once, no training",
    "auto": "A network, automatic",
    "quick": "A network, quick",
    "standard": "A network, standard",
    "smoke/one_shot": "A try-out of seconds",
}


@dataclass(frozen=True)
class Facts:
    """What the page shows of a model; left out is what stays as it is. `blank` is an empty canvas in its colours."""

    about: Any = field(default_factory=gr.skip)
    learnt: Any = field(default_factory=gr.skip)
    canvas: Any = field(default_factory=gr.skip)
    blank: Any = field(default_factory=gr.skip)
    edit_scale: Any = field(default_factory=gr.skip)
    draw_scale: Any = field(default_factory=gr.skip)
    models: Any = field(default_factory=gr.skip)


class PictureHandlers(PictureDrawing):
    """What the tab does."""

    def __init__(self, models: Models, trainings: Trainings) -> None:
        super().__init__(models)
        self.trainings = trainings

    # --- training ----------------------------------------------------------------------------------------------------

    @sentences
    def start(
        self,
        source: str = "coffee",
        file: str | None = None,
        name: str = "my picture",
        minutes: float = 5,
        longest_side: float = 128,
        preset: str = "auto",
        colours: str = "auto",
    ) -> str:
        """Make a model of one picture in a process of its own, at once or by training; returns a sentence.

        Args:
            name: Of the run, 1 to 40 letters, digits, spaces, hyphens or underscores; a number is added.
            minutes: The training is planned to fit into them, 0.1 to 10080.
            longest_side: Of the picture in training, 32 to 512 px.
            preset: "instant" needs no training and no minutes, and contains the picture.
            colours: "rgb", "grey", or "rgba", which keeps transparency; "auto" is rgb.
        """
        stem, limit = checked_name(name), time_limit(minutes)
        side = whole_number(longest_side, 32, 512, "The longest side")
        how = chosen(preset, tuple(SPEEDS), "The preset")
        place = chosen(source, SOURCES, "The picture")
        wanted = chosen(colours, tuple(COLOURS), "The colours")
        asked = ["--max-size", str(side), *([] if wanted == AUTO else ["--colours", wanted])]
        if place == "upload":
            read_upload(file)  # what cannot be read is refused before a process is started
            prepare = partial(keep_picture, within_temporary(file), stem)
        else:
            prepare = partial(_given, bundled_data("single") / f"{place}.png")
        if how == INSTANT:
            return start_sentence(self.trainings.start(prepare, stem, asked, one_picture=True, instant=True))
        options = [*asked, *([] if how == "auto" else ["--preset", how])]
        # The try-out is short as it is: measuring first how long it may be would take longer.
        planned = None if how.startswith("smoke") else limit
        return start_sentence(self.trainings.start(prepare, stem, options, minutes=planned, one_picture=True))

    @sentences
    def stop(self) -> str:
        """Stop the training after its step; everything is saved. Returns what that means for it, as a sentence."""
        return escaped(status_sentence(self.trainings.stop()))

    # --- what is shown of a model ------------------------------------------------------------------------------------

    @sentences
    def facts(self, model: str) -> Facts:
        """Show a model: a sentence, its picture, canvases, the start scales."""
        network = self._open(model).network
        own, last = own_picture(network), last_scale(network)
        colours = ["#" + bytes(colour.tolist()).hex() for colour in main_colours(own, NUM_COLOURS)]
        learnt = _for_brush(own_colours(network))
        blank = Image.new("RGB", learnt.size, colours[-1])
        if network.config.colours == "rgba":
            blank = to_pillow(checkerboard(learnt.height, learnt.width)).convert("RGB")
        return Facts(
            _about(network),
            picture(filed(own_colours(network))),
            gr.update(value=canvas(learnt)),
            gr.update(
                value=canvas(blank),
                brush=gr.Brush(default_size=40, colors=list(colours), default_color=colours[0], color_mode="fixed"),
            ),
            gr.update(maximum=last, value=0),
            gr.update(maximum=last, value=0),
        )

    def opened(self, model: str | None) -> Facts:
        """Show the list as it is now and its chosen model; nothing while there is none."""
        names = self.models.names(*OF_ONE_PICTURE)
        if not names:
            return Facts(models=gr.update(choices=[]))
        name = model if model in names else names[0]
        return replace(self.facts(name), models=listed_anew(names, model))


def _given(path: Path, folder: Path) -> Path:
    return path


def _about(network: Pyramid | Recombiner) -> str:
    height, width = network.size
    colours = {"grey": ", grey", "rgba": ", with transparency"}.get(network.config.colours, "")
    if isinstance(network, Recombiner):
        return f"{width} × {height} px{colours}, instant: made without training. {CONTAINS_ONE}"
    coarsest = f"{network.config.sizes[0][1]} × {network.config.sizes[0][0]}"
    return f"{width} × {height} px{colours} in {network.num_stages} stages, from the coarsest {coarsest}."


def _for_brush(own: Tensor) -> Image.Image:
    """The training picture in its own colours, enlarged for the brush; over a checkerboard where it is transparent."""
    factor = max(1, round(ENLARGED_SIDE / max(own.shape)))
    large = at_size(own, [factor * side for side in own.shape[1:]])
    return to_pillow(shown(large, "checkerboard"))
