"""The tab One picture: train on a single picture; then other sizes, harmonising, editing, painting, animation."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from sase_gan.datasets.bundled import bundled_data
from sase_gan.drawing.animations import write_gif, write_mp4
from sase_gan.drawing.injection import animate, edit, harmonise, inject_strip, paint_to_image, sample
from sase_gan.drawing.masks import main_colours
from sase_gan.drawing.sampling import MAX_SEED, parse_seeds
from sase_gan.errors import DataError, SaseGanError, UsageError
from sase_gan.networks.pyramid import Pyramid
from sase_gan.pixels import to_pillow
from sase_gan.resizing import at_size
from sase_gan.ui.models import PYRAMID, Models, Opened
from sase_gan.ui.tabs.layers import painted_region
from sase_gan.ui.tabs.train import LONGEST_MINUTES, status_html, status_sentence
from sase_gan.ui.trainings import Trainings, checked_name
from sase_gan.ui.uploads import harmless, next_set, read_upload, within_temporary
from sase_gan.ui.widgets import (
    DEVICE,
    chosen,
    escaped,
    number,
    open_choice,
    picture,
    reporter,
    seed_number,
    sentences,
    switch,
    temporary_folder,
    whole_number,
)

BUNDLED = ("coffee", "hubble_deep_field", "rocket")
SOURCES = ("upload", *BUNDLED)
SPEEDS = {"auto": "Automatic", "quick": "Quick", "standard": "Standard", "smoke/one_shot": "A try-out of seconds"}
LONGEST_SIDE = 1024
MOST_DRAWN, MOST_FRAMES = 8, 200
NUM_COLOURS = 6
CANVAS_SIDE = 384
WAYS = ("edit", "harmonise")
FRAMES_PER_SECOND = 10

Shown = list[tuple[Image.Image, str]]


class PictureHandlers:
    """The handlers, as methods so that they know the models and the trainings."""

    def __init__(self, models: Models, trainings: Trainings) -> None:
        self.models, self.trainings = models, trainings

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
    ) -> str:
        """Train on one picture, in a process of its own; returns a sentence.

        Args:
            source: "upload" for the uploaded picture, or "coffee", "hubble_deep_field", "rocket".
            file: The picture.
            name: Of the run, 1 to 40 letters, digits, spaces, hyphens or underscores; a number is added.
            minutes: The training is planned to fit into them, 0.1 to 10080.
            longest_side: Of the picture in training, 32 to 512 px.
            preset: "auto", "quick", "standard", or "smoke/one_shot" for a try-out of seconds.
        """
        stem = checked_name(name)
        limit = number(minutes, 0.1, LONGEST_MINUTES, "The time in minutes")
        side = whole_number(longest_side, 32, 512, "The longest side")
        how = chosen(preset, tuple(SPEEDS), "The preset")
        place = chosen(source, SOURCES, "The picture")
        if place == "upload":
            read_upload(file)  # what cannot be read is refused before a process is started
            prepare = partial(_keep, within_temporary(file), stem)
        else:
            bundled = bundled_data("single") / f"{place}.png"
            prepare = partial(_given, bundled)
        options = ["--max-size", str(side), *([] if how == "auto" else ["--preset", how])]
        # The try-out is short as it is: measuring first how long it may be would take longer.
        time_limit = None if how.startswith("smoke") else limit
        job = self.trainings.start(prepare, stem, options, minutes=time_limit, one_picture=True)
        return f"**{escaped(job.run)}** has started. You may close this page; the training goes on."

    # --- what a model of one picture can do --------------------------------------------------------------------------

    def _open(self, model: object) -> Opened[Pyramid]:
        if not self.models.names(PYRAMID):
            raise UsageError("There is no model of one picture yet: train one above; a try-out takes half a minute.")
        return self.models.open_pyramid(model)

    @sentences
    def facts(self, model: str) -> tuple[str, Image.Image | None, Any, Any, Any, Any]:
        """What the page shows of a model: a sentence, its picture, canvases, the start scales."""
        opened = self._open(model)
        network = opened.network
        height, width = network.size
        words = f"{width} × {height} px in {network.num_stages} stages, from the coarsest {_sides(network, 0)}."
        last = network.num_stages - 1
        colours = [_hex(colour) for colour in main_colours(network.picture.cpu(), NUM_COLOURS)]
        blank = Image.new("RGB", _canvas(network).size, colours[-1])
        return (
            words,
            picture(network.picture.cpu()),
            gr.update(value={"background": _canvas(network), "layers": [], "composite": None}),
            gr.update(
                value={"background": blank, "layers": [], "composite": None},
                brush=gr.Brush(default_size=40, colors=list(colours), default_color=colours[0], color_mode="fixed"),
            ),
            gr.update(maximum=last, value=0),
            gr.update(maximum=last, value=0),
        )

    @sentences
    def draw(
        self,
        model: str,
        width: float = 0,
        height: float = 0,
        seeds: str = "0-3",
        start_scale: float = 0,
        tiles: bool = False,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Shown, str]:
        """Draw pictures like the one that was learnt, at any size.

        Args:
            model: A name of the list of models of one picture.
            width: In pixels, 16 to 1024; 0 for the trained one.
            height: In pixels; 0 for the trained one.
            seeds: One to eight, such as 0-3.
            start_scale: Stages before it keep the layout of the picture; 0 redraws everything.
            tiles: Let the pictures continue seamlessly when they are laid side by side.
            progress: The browser's bar.
        """
        opened = self._open(model)
        size = _size(opened.network, width, height)
        numbers = _seeds(seeds)
        scale = whole_number(start_scale, 0, opened.network.num_stages - 1, "The start scale")
        images = sample(
            opened.network,
            numbers,
            size=size,
            start_scale=scale,
            padding="circular" if switch(tiles, "Seamless tiles") else None,
            batch_size=2,
            progress=reporter(progress, "drawing"),
        )
        text = {"snapshot": opened.digest, "start_scale": str(scale), "software": "sase_gan studio"}
        shown = [
            (picture(image, {**text, "seed": str(seed)}), str(seed))
            for seed, image in zip(numbers, images, strict=True)
        ]
        return shown, f"{len(images)} pictures of {images.shape[3]} × {images.shape[2]} px."

    @sentences
    def change(
        self,
        model: str,
        painting: dict[str, Any] | None = None,
        way: str = "edit",
        start_scale: float = 0,
        seed: float = 0,
    ) -> tuple[Image.Image, str]:
        """Make what was painted over the picture a part of it.

        Args:
            model: A name of the list of models of one picture.
            painting: The picture painted over, as the page's brush gives it.
            way: "edit" redraws around the change, "harmonise" keeps more of what was painted.
            start_scale: The stage at which it enters, 1 redraws the most; 0 chooses.
            seed: Of the noise.
        """
        opened = self._open(model)
        how = chosen(way, WAYS, "The way")
        composite, mask = painted(painting)
        scale = whole_number(start_scale, 0, opened.network.num_stages - 1, "The start scale") or None
        work = edit if how == "edit" else harmonise
        fitted = at_size(composite, opened.network.size)
        drawn = work(opened.network, fitted, mask, scale, seeds=(seed_number(seed),))[0]
        text = {"snapshot": opened.digest, "application": how, "seed": str(seed_number(seed))}
        return picture(drawn, text), f"Seed {seed_number(seed)}; outside the painted part the picture is untouched."

    @sentences
    def strip(self, model: str, painting: dict[str, Any] | None = None, seed: float = 0) -> tuple[Shown, str]:
        """What each start scale makes of a painted picture, the coarsest first."""
        opened = self._open(model)
        composite, mask = painted(painting)
        fitted = at_size(composite, opened.network.size)
        drawn = inject_strip(opened.network, fitted, mask, seed=seed_number(seed)).masked
        shown = [(picture(image), f"start scale {scale}") for scale, image in enumerate(drawn, start=1)]
        return shown, "The same change entering at every stage: early ones redraw it, late ones keep it."

    @sentences
    def paint(
        self, model: str, painting: dict[str, Any] | None = None, start_scale: float = 1, seeds: str = "0-3"
    ) -> tuple[Shown, str]:
        """Turn a flat painting into pictures of the learnt texture.

        Args:
            model: A name of the list of models of one picture.
            painting: As the page's brush gives it.
            start_scale: The stage at which it enters; 1 or 2 serve most paintings.
            seeds: One to eight, such as 0-3.
        """
        opened = self._open(model)
        composite, _ = painted(painting)
        scale = whole_number(start_scale, 1, max(1, opened.network.num_stages - 1), "The start scale")
        numbers = _seeds(seeds)
        fitted = at_size(composite, opened.network.size)
        drawn = paint_to_image(opened.network, fitted, scale, seeds=numbers, colours=NUM_COLOURS)
        text = {"snapshot": opened.digest, "application": "paint", "start_scale": str(scale)}
        shown = [(picture(i, {**text, "seed": str(n)}), str(n)) for n, i in zip(numbers, drawn, strict=True)]
        return shown, "Each seed another picture of your painting."

    @sentences
    def animate(
        self,
        model: str,
        frames: float = 60,
        calm: float = 0.9,
        pull: float = 0.1,
        start_scale: float = 0,
        seed: float = 0,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str, str]:
        """Let the picture move, as a film (MP4) and an animation (GIF).

        Args:
            model: A name of the list of models of one picture.
            frames: 2 to 200, ten a second.
            calm: Smoothness of the motion, 0 to 1.
            pull: How strongly it is drawn back to the picture, 0 to 1.
            start_scale: Stages before it stand still.
            seed: Of the motion.
            progress: The browser's bar.
        """
        opened = self._open(model)
        count = whole_number(frames, 2, MOST_FRAMES, "The number of frames")
        film = animate(
            opened.network,
            count,
            seed=seed_number(seed),
            start_scale=whole_number(start_scale, 0, 16, "The start scale"),
            alpha=number(pull, 0, 1, "The pull"),
            beta=number(calm, 0, 1, "The smoothness"),
            progress=reporter(progress, "drawing the film"),
        )
        factor = max(1, CANVAS_SIDE // max(film.shape[2:]))
        film = film.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        folder = Path(tempfile.mkdtemp(prefix="animation-", dir=temporary_folder()))
        write_mp4(folder / "animation.mp4", film, frames_per_second=FRAMES_PER_SECOND)
        write_gif(folder / "animation.gif", film, frames_per_second=FRAMES_PER_SECOND)
        return str(folder / "animation.mp4"), str(folder / "animation.gif"), f"{count} frames."


def _given(path: Path, folder: Path) -> Path:
    return path


def _keep(path: Path, name: str, folder: Path) -> Path:
    """An uploaded picture, put down for good: a run that goes on needs it again."""
    target = next_set(folder, name) / harmless(path.name)
    target.parent.mkdir(parents=True)
    try:
        shutil.copyfile(path, target)
    except FileNotFoundError as error:
        raise DataError("the uploaded picture is gone, uploads are kept for an hour; upload it again") from error
    return target


def painted(painting: dict[str, Any] | None) -> tuple[Tensor, Tensor]:
    """The picture with what was painted, uint8 `[3, H, W]`, and where, `[H, W]`.

    Raises:
        UsageError: if nothing was painted, or what came is no painting.
    """
    composite = painting.get("composite") if isinstance(painting, dict) else None
    region = painted_region(painting)
    shape: tuple[int, ...] = getattr(composite, "shape", ())
    if len(shape) != 3 or shape[2] not in (3, 4) or shape[0] * shape[1] > 4_000_000 or shape[:2] != region.shape:
        raise UsageError("The painting is not what the brush of this page gives; paint again.")
    assert composite is not None
    return torch.from_numpy(composite[:, :, :3].copy()).permute(2, 0, 1), region


def _sides(network: Pyramid, stage: int) -> str:
    height, width = network.config.sizes[stage]
    return f"{width} × {height}"


def _canvas(network: Pyramid) -> Image.Image:
    """The training picture, enlarged for the brush."""
    image = to_pillow(network.picture.cpu())
    factor = max(1, round(CANVAS_SIDE / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)


def _hex(colour: Tensor) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in colour)


def _size(network: Pyramid, width: object, height: object) -> tuple[int, int]:
    sides = []
    for value, trained, what in ((height, network.size[0], "The height"), (width, network.size[1], "The width")):
        sides.append(trained if value in (0, None) else whole_number(value, 16, LONGEST_SIDE, what))
    return sides[0], sides[1]


def _seeds(text: object) -> list[int]:
    if not isinstance(text, str) or len(text) > 200:
        raise UsageError("Write the seeds as a list, such as 0-3.")
    first, _, last = text.partition("-")
    if first.strip().isdecimal() and last.strip().isdecimal() and int(last) - int(first) >= MOST_DRAWN:
        raise UsageError(f"{text} are too many seeds; at most {MOST_DRAWN} are possible here.")
    found = parse_seeds(text)
    if not 1 <= len(found) <= MOST_DRAWN or max(found) > MAX_SEED:
        raise UsageError(f"{len(found)} seeds are named; between 1 and {MOST_DRAWN} are possible here.")
    return found


# --- page ------------------------------------------------------------------------------------------------------------


def build(models: Models, trainings: Trainings) -> dict[str, Any]:
    """The tab's components and events; returns what `train_tab.follow` and the page connect to."""
    handlers = PictureHandlers(models, trainings)
    names = models.names(PYRAMID)
    with gr.Accordion("Train on a picture", open=not names, elem_id="picture-training"), gr.Row():
        with gr.Column(scale=1, min_width=280):
            with gr.Group():
                source = gr.Radio(
                    [("My picture", "upload"), ("Coffee", "coffee"), ("Galaxies", BUNDLED[1]), ("Rocket", "rocket")],
                    value="coffee" if _has_single() else "upload",
                    label="Picture",
                    elem_id="picture-source",
                )
                upload = gr.Image(
                    type="filepath",
                    label="Upload a picture",
                    sources=["upload"],
                    buttons=[],
                    visible=not _has_single(),
                    height=200,
                    elem_id="picture-upload",
                )
                name = gr.Textbox("my picture", label="Name of the run", max_length=40)
                minutes = gr.Number(5, label="Minutes", minimum=0.1, maximum=LONGEST_MINUTES)
            with gr.Accordion("More", open=False):
                side = gr.Slider(32, 512, 128, step=8, label="Longest side in training")
                preset = gr.Dropdown(
                    [(words, key) for key, words in SPEEDS.items()], value="auto", label="Preset", filterable=False,
                    elem_id="picture-preset",
                )  # fmt: skip
            start = gr.Button("Train", variant="primary", elem_id="picture-start")
        with gr.Column(scale=2, min_width=300):
            with gr.Row(equal_height=True, elem_classes="status-row"):
                bar = gr.HTML(status_html(trainings.state(), one_picture=True), elem_id="picture-status")
                stop = gr.Button("Stop and save", variant="stop", visible=False, min_width=160, scale=0)
            note = gr.Markdown("", elem_id="picture-note")
            samples = gr.Image(
                label="Samples of the newest stage",
                format="png",
                buttons=["fullscreen"],
                interactive=False,
                elem_id="picture-samples",
                elem_classes=["pictures", "table", "late"],
            )
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            model = open_choice(
                gr.Dropdown(
                    names,
                    value=names[0] if names else None,
                    label="Model of one picture",
                    filterable=False,
                    elem_id="picture-model",
                )
            )
            about = gr.Markdown(
                "" if names else "There is no model of one picture yet: train one above.", elem_id="picture-about"
            )
            learnt = gr.Image(
                label="What it learnt from",
                format="png",
                buttons=["fullscreen"],
                interactive=False,
                elem_id="picture-learnt",
                elem_classes=["pictures", "large"],
            )
        with gr.Column(scale=3, min_width=300), gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap"):
            with gr.Tab("Other sizes", id="sizes", elem_id="tab-sizes"):
                free_scale = _build_sizes(handlers, model)
            with gr.Tab("Edit", id="edit", elem_id="tab-edit"):
                canvas, scale = _build_edit(handlers, model)
            with gr.Tab("Paint", id="paint", elem_id="tab-paint"):
                blank = _build_paint(handlers, model)
            with gr.Tab("Animate", id="animate", elem_id="tab-animate"):
                _build_animation(handlers, model)
    started = start.click(
        handlers.start,
        [source, upload, name, minutes, side, preset],
        [note],
        api_name="train_picture",
        api_visibility="public",
        concurrency_id="reading",
        concurrency_limit=1,
    )
    stopped = stop.click(sentences(_stop(trainings)), None, [note], api_visibility="private", queue=False)
    source.change(
        lambda how: gr.update(visible=how == "upload"), [source], [upload], api_visibility="private", queue=False
    )
    show = (handlers.facts, [model], [about, learnt, canvas, blank, scale, free_scale])
    # Not only by hand: a training that ends chooses its model.
    model.change(*show, api_visibility="private", **DEVICE)
    return {
        "model": model,
        "shown": [bar, samples, stop, note],
        "triggers": [started, stopped],
        "on_open": (partial(_opened, handlers), [model], [model, *show[2]]),
    }


def _stop(trainings: Trainings) -> Any:
    def stop() -> str:
        return status_sentence(trainings.stop())

    return stop


def _opened(handlers: PictureHandlers, model: str | None) -> list[Any]:
    """The list as it is now and what is shown of its first model; nothing while there is none."""
    names = handlers.models.names(PYRAMID)
    if not names:
        return [gr.update(choices=[])] + [gr.skip()] * 6
    name = model if model in names else names[0]
    return [gr.update(choices=names, value=name), *handlers.facts(name)]


def _has_single() -> bool:
    try:
        return bundled_data("single").is_dir()
    except SaseGanError:
        return False


def _gallery(elem_id: str) -> gr.Gallery:
    return gr.Gallery(
        show_label=False,
        columns=2,
        height="auto",
        object_fit="contain",
        format="png",
        buttons=["download", "fullscreen"],
        interactive=False,
        elem_id=elem_id,
        elem_classes=["pictures", "wide", "late"],
    )


def _build_sizes(handlers: PictureHandlers, model: gr.Dropdown) -> gr.Slider:
    with gr.Row():
        width = gr.Number(0, label="Width", info="0: as trained.", precision=0, minimum=0, maximum=LONGEST_SIDE)
        height = gr.Number(0, label="Height", info="0: as trained.", precision=0, minimum=0, maximum=LONGEST_SIDE)
        seeds = gr.Textbox("0-3", label="Seeds", max_length=100)
    with gr.Row():
        scale = gr.Slider(0, 1, 0, step=1, label="Start scale", info="0 redraws everything; higher keeps the layout.")
        tiles = gr.Checkbox(False, label="Seamless tiles")
    draw = gr.Button("Draw", variant="primary", elem_id="picture-draw")
    note = gr.Markdown("Draw new pictures like the one that was learnt, in its size or any other.")
    gallery = _gallery("picture-sheet")
    draw.click(
        handlers.draw,
        [model, width, height, seeds, scale, tiles],
        [gallery, note],
        api_name="draw_picture",
        api_visibility="public",
        **DEVICE,
    )
    return scale


def _editor(label: str, elem_id: str) -> Any:
    return gr.ImageEditor(
        label=label,
        type="numpy",
        image_mode="RGBA",
        format="png",
        sources=(),
        transforms=(),
        layers=False,
        buttons=[],
        brush=gr.Brush(default_size=28, colors=["#c2410c", "#1d4ed8", "#15803d", "#ffffff", "#1c1917"]),
        eraser=gr.Eraser(default_size=28),
        height=460,
        elem_id=elem_id,
    )


def _build_edit(handlers: PictureHandlers, model: gr.Dropdown) -> tuple[Any, gr.Slider]:
    gr.Markdown("Paint over the picture; what you painted becomes a part of it, in its own texture.")
    canvas = _editor("Your change", "picture-canvas")
    with gr.Row():
        way = gr.Radio([("Edit", "edit"), ("Harmonise", "harmonise")], value="edit", label="Way")
        scale = gr.Slider(0, 1, 0, step=1, label="Start scale", info="0: chosen; 1 redraws the most.")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED)
    with gr.Row():
        go = gr.Button("Make it a part", variant="primary", elem_id="picture-edit")
        every = gr.Button("Show every start scale")
    note = gr.Markdown("")
    result = gr.Image(
        label="Result", format="png", buttons=["download", "fullscreen"], interactive=False, elem_id="picture-result",
        elem_classes=["pictures", "large", "late"],
    )  # fmt: skip
    gallery = _gallery("picture-strip")
    go.click(
        handlers.change,
        [model, canvas, way, scale, seed],
        [result, note],
        api_name="edit_picture",
        api_visibility="public",
        **DEVICE,
    )
    every.click(handlers.strip, [model, canvas, seed], [gallery, note], api_visibility="private", **DEVICE)
    return canvas, scale


def _build_paint(handlers: PictureHandlers, model: gr.Dropdown) -> Any:
    gr.Markdown("Paint flat shapes in the main colours of the picture; they become its materials.")
    blank = _editor("Your painting", "picture-painting")
    with gr.Row():
        scale = gr.Number(1, label="Start scale", info="1 or 2 serve most paintings.", precision=0, minimum=1)
        seeds = gr.Textbox("0-3", label="Seeds", max_length=100)
    go = gr.Button("Make pictures of it", variant="primary", elem_id="picture-paint")
    note = gr.Markdown("")
    gallery = _gallery("picture-painted")
    go.click(
        handlers.paint,
        [model, blank, scale, seeds],
        [gallery, note],
        api_name="paint_picture",
        api_visibility="public",
        **DEVICE,
    )
    return blank


def _build_animation(handlers: PictureHandlers, model: gr.Dropdown) -> None:
    gr.Markdown(
        "Let the picture move. A film shows what the network itself draws, so that it needs a training of some "
        "minutes; after a try-out it has little to do with the picture."
    )
    with gr.Row():
        frames = gr.Slider(2, MOST_FRAMES, 60, step=1, label="Frames", info="Ten a second.")
        calm = gr.Slider(0, 1, 0.9, step=0.05, label="Smoothness")
        pull = gr.Slider(0, 1, 0.1, step=0.05, label="Pull to the picture")
    with gr.Row():
        scale = gr.Number(0, label="Start scale", info="Stages before it stand still.", precision=0, minimum=0)
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED)
    go = gr.Button("Animate", variant="primary", elem_id="picture-animate")
    note = gr.Markdown("")
    film = gr.Video(
        label="Film", autoplay=True, loop=True, interactive=False, buttons=["download"], elem_id="picture-film",
        height=420,
    )  # fmt: skip
    animation = gr.File(label="The same as an animated GIF", interactive=False)
    go.click(
        handlers.animate,
        [model, frames, calm, pull, scale, seed],
        [film, animation, note],
        api_name="animate_picture",
        api_visibility="public",
        **DEVICE,
    )
