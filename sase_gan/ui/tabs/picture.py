"""The tab One picture: train on a single picture; then other sizes, harmonising, editing, painting, animation."""

from __future__ import annotations

import gradio as gr

from sase_gan.ui import own_pictures, walking, widgets
from sase_gan.ui.checks import seed_numbers, whole_number
from sase_gan.ui.entries import OF_ONE_PICTURE
from sase_gan.ui.events import AT_ONCE, LONG, READING, Action, at_once, forget
from sase_gan.ui.fields import checked
from sase_gan.ui.models import Models
from sase_gan.ui.one_picture import INSTANT, SPEEDS, PictureHandlers
from sase_gan.ui.picture_drawing import LONGEST_FILM, LONGEST_SIDE, MOST_DRAWN
from sase_gan.ui.set_training import AUTO, COLOURS
from sase_gan.ui.training_view import TrainingPlace, status_html
from sase_gan.ui.trainings import Trainings

LARGER = ("fullscreen",)
BRUSH = gr.Brush(default_size=28, colors=["#c2410c", "#1d4ed8", "#15803d", "#ffffff", "#1c1917"])


def build(models: Models, trainings: Trainings) -> tuple[Action, TrainingPlace]:
    """Lay the tab out; returns what is done when it is opened, and where the training that works is shown."""
    handlers = PictureHandlers(models, trainings)
    names = models.names(*OF_ONE_PICTURE)
    with gr.Accordion("Make a model of a picture", open=not names, elem_id="picture-training"), gr.Row():
        place = _build_training(handlers, trainings)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            model = widgets.open_list(names, "Model of one picture", "picture-model")
            hint = "" if names else "There is no model of one picture yet: make one above."
            facts = {
                "about": gr.Markdown(hint, elem_id="picture-about"),
                "learnt": widgets.image_view(
                    "What it learnt from", "picture-learnt", "pictures", "large", buttons=LARGER
                ),
            }
        with gr.Column(scale=3, min_width=300), gr.Tabs(elem_classes="inner-tabs", overflow_behavior="wrap"):
            with gr.Tab("Other sizes", id="sizes", elem_id="tab-sizes"):
                facts["draw_scale"] = _build_sizes(handlers, model)
            with gr.Tab("Edit", id="edit", elem_id="tab-edit"):
                facts["canvas"], facts["edit_scale"] = _build_edit(handlers, model)
            with gr.Tab("Paint", id="paint", elem_id="tab-paint"):
                facts["blank"] = _build_paint(handlers, model)
            with gr.Tab("Animate", id="animate", elem_id="tab-animate"):
                _build_animation(handlers, model)
            with gr.Tab("Analogy", id="analogy", elem_id="tab-analogy"):
                _build_analogy(handlers, model)
    # Not only by hand: a training that ends chooses its model.
    told = {name: place for name, place in facts.items() if not name.endswith("scale")}
    Action(handlers.facts, [model], facts).on(forget(model, *told.values()))
    place.shown["picture_models"] = model
    return Action(handlers.opened, [model], {"models": model, **facts}), place


def _build_training(handlers: PictureHandlers, trainings: Trainings) -> TrainingPlace:
    bundled = widgets.has_bundled("single")
    with gr.Column(scale=1, min_width=280):
        with gr.Group():
            known = [("Coffee", "coffee"), ("Galaxies", "hubble_deep_field"), ("Rocket", "rocket")]
            sources = [("My picture", "upload"), *(known if bundled else [])]
            source = gr.Radio(sources, value="upload", label="Picture", elem_id="picture-source")
            upload = widgets.upload_view("picture-upload", height=200)
            name = gr.Textbox("my picture", label="Name of the run", max_length=40)
            preset = widgets.preset_list(SPEEDS, "picture-preset", INSTANT)
            minutes = widgets.minutes_field(5, trainings.limits.minutes, visible=False)
        with gr.Accordion("More", open=False):
            side = gr.Slider(32, 512, 128, step=8, label="Longest side in training")
            words = [(told, key) for key, told in COLOURS.items()]
            colours = gr.Dropdown(words, value=AUTO, label="Colours", filterable=False, elem_id="picture-colours")
        start = gr.Button("Start", variant="primary", elem_id="picture-start")
    with gr.Column(scale=2, min_width=300):
        own_pictures.single_thumbnails(known if bundled else [], "picture-thumbnails", source)
        status_now = status_html(trainings.state(), one_picture=True)
        status, stop, note = widgets.status_view(status_now, "picture-status", "picture-note")
        classes = ("pictures", "table", "late")
        samples = widgets.image_view("Samples of the newest stage", "picture-samples", *classes, buttons=LARGER)
    widgets.shown_for_uploads(source, upload)
    at_once(preset.change, lambda how: gr.update(visible=how != INSTANT), [preset], [minutes])
    wishes = [source, upload, name, minutes, side, preset, colours]
    started = Action(handlers.start, wishes, note, READING).on(start.click, api="train_picture")
    stopped = Action(handlers.stop, [], note, AT_ONCE).on(stop.click)
    shown = {"picture_status": status, "picture_samples": samples, "picture_stop": stop, "picture_note": note}
    return TrainingPlace(shown, [started.success, stopped.success])


def _pictures(elem_id: str) -> gr.Gallery:
    return widgets.gallery_view(elem_id, "wide", "late", columns=2, object_fit="contain")


def _build_sizes(handlers: PictureHandlers, model: gr.Dropdown) -> gr.Slider:
    with gr.Row():
        width = gr.Number(0, label="Width", info="0: as trained.", precision=0, minimum=0, maximum=LONGEST_SIDE)
        height = gr.Number(0, label="Height", info="0: as trained.", precision=0, minimum=0, maximum=LONGEST_SIDE)
        seeds = gr.Textbox("0-3", label="Seeds", max_length=100)
    with gr.Row():
        scale = gr.Slider(0, 1, 0, step=1, label="Start scale", info="0 redraws everything; higher keeps the layout.")
        tiles = gr.Checkbox(False, label="Seamless tiles")
        ways = [("New", "new"), ("Objects at their scale", "retarget"), ("Symmetric", "symmetric")]
        manner = gr.Radio(ways, value="new", label="Manner", info="The others are of instant models.")
    with gr.Row():
        go = gr.Button("Draw", variant="primary", elem_id="picture-draw", min_width=160)
        cancel = gr.Button("Cancel", elem_id="picture-cancel", min_width=100)
    cost = gr.Markdown("", elem_id="picture-cost")
    note = gr.Markdown(
        "Draw new pictures like the one that was learnt, in its size or any other.", elem_id="picture-sizes-note"
    )
    shown = {"gallery": _pictures("picture-sheet"), "note": note}
    for size in (width, height):
        checked(size, lambda side: side in (0, None) or whole_number(side, 16, LONGEST_SIDE, "The side"))
    checked(seeds, lambda text: seed_numbers(text, MOST_DRAWN))
    wishes = [model, width, height, seeds, scale, tiles, manner]
    drawn = Action(handlers.draw, wishes, shown, LONG, check=handlers.check_draw).on(go.click, api="draw_picture")
    cancel.click(lambda: "Cancelled.", [], [note], cancels=[drawn], api_visibility="private", **AT_ONCE)
    foretold = Action(handlers.foretell, [model, width, height, seeds], cost, AT_ONCE)
    for field in (width, height, seeds):
        foretold.on(field.change, show_progress="hidden")
    return scale


def _build_edit(handlers: PictureHandlers, model: gr.Dropdown) -> tuple[gr.ImageEditor, gr.Slider]:
    gr.Markdown("Paint over the picture; what you painted becomes a part of it, in its own texture.")
    canvas = widgets.editor("Your change", "picture-canvas", BRUSH)
    with gr.Row():
        way = gr.Radio([("Edit", "edit"), ("Harmonise", "harmonise")], value="edit", label="Way")
        scale = gr.Slider(0, 1, 0, step=1, label="Start scale", info="0: chosen; 1 redraws the most.")
        seed = widgets.seed_field()
    with gr.Row():
        go = gr.Button("Make it a part", variant="primary", elem_id="picture-edit")
        every = gr.Button("Show every start scale")
    note = gr.Markdown("")
    with gr.Row(elem_classes=["pair", "edited"]):
        looks = ("pictures", "large", "late")
        before = widgets.image_view("Before: as you painted it", "picture-before", *looks, min_width=140)
        result = widgets.image_view("After: a part of it", "picture-result", *looks, min_width=140)
    strip = _pictures("picture-strip")
    shown = {"after": result, "note": note, "before": before}
    Action(handlers.change, [model, canvas, way, scale, seed], shown, LONG).on(go.click, api="edit_picture")
    Action(handlers.strip, [model, canvas, seed], {"gallery": strip, "note": note}, LONG).on(every.click)
    return canvas, scale


def _build_paint(handlers: PictureHandlers, model: gr.Dropdown) -> gr.ImageEditor:
    gr.Markdown("Paint flat shapes in the main colours of the picture; they become its materials.")
    blank = widgets.editor("Your painting", "picture-painting", BRUSH)
    with gr.Row():
        words = "0: chosen; 1 or 2 serve most paintings."
        scale = gr.Number(0, label="Start scale", info=words, precision=0, minimum=0)
        seeds = gr.Textbox("0-3", label="Seeds", max_length=100)
    go = gr.Button("Make pictures of it", variant="primary", elem_id="picture-paint")
    note = gr.Markdown("")
    shown = {"gallery": _pictures("picture-painted"), "note": note}
    Action(handlers.paint, [model, blank, scale, seeds], shown, LONG).on(go.click, api="paint_picture")
    return blank


def _build_animation(handlers: PictureHandlers, model: gr.Dropdown) -> None:
    gr.Markdown(
        "Let the picture move. Of a trained model a film shows what the network itself draws, so that it needs a "
        "training of some minutes; after a try-out it has little to do with the picture."
    )
    with gr.Row():
        seconds, side = walking.length_and_size(6, LONGEST_FILM, "animation")
        calm = gr.Slider(0, 1, 0.9, step=0.05, label="Smoothness")
        pull = gr.Slider(0, 1, 0.1, step=0.05, label="Pull to the picture")
    with gr.Row():
        scale = gr.Number(0, label="Start scale", info="Stages before it stand still.", precision=0, minimum=0)
        seed = widgets.seed_field()
    go, preview, cancel = walking.film_buttons("Animate", "picture-animate")
    note = gr.Markdown("", elem_id="picture-animation-note")
    film = widgets.film_view("picture-film")
    wishes, shown = [model, seconds, side, calm, pull, scale, seed], {**film, "note": note}
    drawn = Action(handlers.animate, wishes, shown, LONG).on(go.click, api="animate_picture")
    walking.cancels(cancel, note, drawn, Action(handlers.preview, wishes, shown, LONG).on(preview.click))


def _build_analogy(handlers: PictureHandlers, model: gr.Dropdown) -> None:
    gr.Markdown("The layout of another picture, made of the matter of this one. Instant models do this.")
    with gr.Row():
        layout = widgets.upload_view("picture-layout", height=220)
        with gr.Column(min_width=240):
            words = "0: chosen; finer keeps more of its details."
            scale = gr.Number(0, label="Start scale", info=words, precision=0, minimum=0)
            seeds = gr.Textbox("0-3", label="Seeds", max_length=100)
            go = gr.Button("Draw", variant="primary", elem_id="picture-analogy")
    note = gr.Markdown("")
    shown = {"gallery": _pictures("picture-analogies"), "note": note}
    Action(handlers.analogy, [model, layout, scale, seeds], shown, LONG).on(go.click, api="analogy_picture")
