"""Live: a picture follows sliders while they are moved, or a walk is played; the browser asks for one at a time.

Pictures go to the page as answers of a function of the component, not through gradio's queue: a queued event costs two
more requests and a file for each picture.
"""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from typing import Any, cast

import gradio as gr
from PIL import Image
from torch import Tensor

from sase_gan.class_names import with_classes
from sase_gan.drawing.recipes import Recipe, draw_recipes, stations_of
from sase_gan.drawing.sampling import Inputs, draw_images
from sase_gan.drawing.walks import at_place
from sase_gan.errors import SaseGanError, UsageError
from sase_gan.networks.generator import Generator
from sase_gan.pixels import to_pillow
from sase_gan.recombination.model import Recombiner
from sase_gan.ui.assets import asset
from sase_gan.ui.checks import UNFORESEEN, logger, named_picture, number, sentence
from sase_gan.ui.class_choice import classes_of, mixture_of
from sase_gan.ui.events import at_once
from sase_gan.ui.models import Models, Opened, OpenModel
from sase_gan.ui.photographs import named_pictures
from sase_gan.ui.steering import NUM_DIRECTIONS, REACH, steered
from sase_gan.ui.walking import MOST_STATIONS, eased

MOST_AT_ONCE = 4
LOSSLESS_SIDE = 160
MOST_WALKS = 16


class LiveHandlers:
    """What the part does."""

    def __init__(self, models: Models) -> None:
        self.models = models
        # No more than these hold a thread of the server; others are told to ask again.
        self._places, self._device = threading.Semaphore(MOST_AT_ONCE), threading.Lock()
        self._walks: OrderedDict[tuple[str, str], Inputs] = OrderedDict()

    def frame(self, wish: Any) -> dict[str, Any]:
        """Draw one picture, for the page that asks; returns it with its name, or a sentence, or that all are busy."""
        if not self._places.acquire(blocking=False):
            return {"busy": True}
        try:
            with self._device:
                image, name = self.drawn(wish if isinstance(wish, dict) else {})
            # Asked for once for a model, and not with each picture.
            asked = isinstance(wish, dict) and wish.get("asks") is True
            more = {"classes": classes_of(self.models, str(wish.get("model")))._asdict()} if asked else {}
            return {"picture": data_address(to_pillow(image)), "name": name, **more}
        except SaseGanError as error:
            return {"error": sentence(error)}
        except Exception:
            logger.exception("a live picture failed")
            return {"error": UNFORESEEN}
        finally:
            self._places.release()

    def drawn(self, wish: dict[str, Any]) -> tuple[Tensor, str]:
        """Draw what is wished, uint8 `[3, H, W]`, and name it; on the way between two pictures it has no name.

        Raises:
            UsageError: for a wish that is none.
        """
        opened = self.models.open(wish.get("model"))
        if "pictures" in wish:
            return self._on_the_way(opened, of_class(wish["pictures"], wish), wish.get("place")), ""
        recipe, values = named_picture(of_class(wish.get("picture"), wish)), wish.get("values")
        if not isinstance(values, list) or len(values) > NUM_DIRECTIONS:
            raise UsageError(f"The sliders are {str(values)[:40]!r}; a list of {NUM_DIRECTIONS} numbers is required.")
        if isinstance(opened.network, Recombiner) and any(values):
            raise UsageError(f"{opened.entry.name} is an instant model, which has no directions; play a walk instead.")
        if any(values):
            recipe = steered(cast(Opened[Generator], opened), recipe, wish.get("method"), values)
        opened.draws(recipe)
        return draw_recipes(opened.network, [recipe])[0], recipe.name

    def _on_the_way(self, opened: OpenModel, pictures: object, place: object) -> Tensor:
        recipes = named_pictures(pictures, most=MOST_STATIONS, least=2)
        stations = self._stations(opened, recipes)
        far = number(place, 0, 1e9, "The place on the walk")
        leg, share = divmod(far, 1)
        inputs = at_place(stations, (int(leg), eased(share)))
        return draw_images(opened.network, inputs, finish=False)[0]

    def _stations(self, opened: OpenModel, recipes: list[Recipe]) -> Inputs:
        """Where a walk leads; those of the last few walks are kept, since each picture of one asks for them."""
        key = (opened.digest, ",".join(recipe.name for recipe in recipes))
        if key not in self._walks:
            opened.draws(*recipes)
            self._walks[key] = stations_of(opened.network, recipes)
            while len(self._walks) > MOST_WALKS:
                self._walks.popitem(last=False)
        self._walks.move_to_end(key)
        return self._walks[key]


def of_class(names: object, wish: dict[str, Any]) -> object:
    """The names of pictures with the class that is wished; as they are where none is."""
    kind, share = wish.get("kind"), wish.get("share", 0)
    if not isinstance(names, str) or not kind or not isinstance(kind, str):
        return names
    other = wish.get("other")
    return with_classes(names, mixture_of(kind, other if isinstance(other, str) else "", share))


def data_address(image: Image.Image) -> str:
    """Write a picture into an address: small ones without loss, large ones as JPEG, which is written faster."""
    content = io.BytesIO()
    if max(image.size) <= LOSSLESS_SIDE:
        image.save(content, format="PNG", compress_level=1)
        kind = "png"
    else:
        image.save(content, format="JPEG", quality=92, subsampling=0)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def build(models: Models, model: gr.Dropdown, centre: gr.Textbox, tabs: gr.Tabs) -> None:
    """Lay the part out; its picture can be taken to the map, whose field is `centre`."""
    handlers = LiveHandlers(models)

    def frame(wish: Any) -> dict[str, Any]:  # gradio marks it, which a method does not take
        return handlers.frame(wish)

    rows = "".join(
        f'<label>Direction {k}<input type="range" min="{-REACH:g}" max="{REACH:g}" step="0.1" value="0"><b>0.0</b>'
        "</label>"
        for k in range(1, NUM_DIRECTIONS + 1)
    )
    page = gr.HTML(
        "", html_template=asset("live.html").replace("<!-- directions -->", rows), js_on_load=asset("live.js"),
        server_functions=[frame], elem_id="live",
    )  # fmt: skip
    js = "(name) => { window.chosenModel = name; window.dispatchEvent(new Event('another-model')); }"
    model.change(None, [model], None, js=js, api_visibility="private", show_progress="hidden")

    def take(event: gr.EventData) -> tuple[str, Any]:
        name = getattr(event, "name", "")
        return str(name)[:200], gr.update(selected="neighbours")

    at_once(page.submit, take, [], [centre, tabs])
