"""The tabs One picture and Recognise, called as plain functions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sase_gan.colours import filed, learnt
from sase_gan.drawing.applications import analogy
from sase_gan.drawing.injection import edit, paint_to_image, sample
from sase_gan.layers.sase_recognition import SASEConv2d
from sase_gan.pixels import read_image, to_tensor, write_png
from sase_gan.recognition.classification.classifier import predict_pictures
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.resizing import at_size
from sase_gan.ui.entries import CLASSIFIER, DETECTOR, PYRAMID
from sase_gan.ui.markup import Framing, attention_html, framing, laid_out, layer_words, weights_html
from sase_gan.ui.models import Models
from sase_gan.ui.one_picture import NUM_COLOURS, PictureHandlers
from sase_gan.ui.pictures import painted
from sase_gan.ui.tabs.recognise import RecogniseHandlers, attention_map, example, watched
from sase_gan.ui.trainings import Trainings
from tests.ui.test_handlers import refused


@pytest.fixture(scope="module")
def models(models_folder) -> Models:
    return Models([models_folder])


@pytest.fixture
def handlers(models, tmp_path, temporary) -> PictureHandlers:
    return PictureHandlers(models, Trainings(tmp_path / "runs"))


def painting(side: int = 56) -> dict:
    composite = np.zeros((side, side, 4), np.uint8)
    composite[..., 0] = 200
    layer = np.zeros_like(composite)
    layer[: side // 4, : side // 4] = 255
    return {"background": None, "layers": [layer], "composite": composite}


def test_every_kind_of_model_has_its_own_list(models):
    assert models.names() == ["instant", "pickled", "plain", "tiny"]
    assert models.names(PYRAMID) == ["single"]
    assert models.names(CLASSIFIER, DETECTOR) == ["classes", "finder"]


def test_pictures_of_any_size_are_those_of_the_library(handlers, models):
    drawn = handlers.draw("single", 40, 20, "3, 5")
    assert drawn.note == "2 pictures of 40 × 20 px."
    expected = sample(models.open_of_one_picture("single").network, [3, 5], size=(20, 40), batch_size=2)
    for (image, name), wanted in zip(drawn.gallery, expected, strict=True):
        assert torch.equal(to_tensor(image), wanted)
        assert image.info["seed"] == name
    assert handlers.draw("single").gallery[0][0].size == (28, 28)


def test_a_painted_change_is_redrawn_and_the_rest_untouched(handlers, models):
    network = models.open_of_one_picture("single").network
    changed = handlers.change("single", painting(), "edit", 1, 7)
    composite, mask = painted(painting())
    expected = edit(network, at_size(composite, (28, 28)), mask, 1, seeds=(7,))[0]
    assert torch.equal(to_tensor(changed.after), expected)
    assert torch.equal(to_tensor(changed.before), at_size(composite, (28, 28)))
    assert torch.equal(expected[:, 24:, 24:], network.picture[:, 24:, 24:])
    assert "Seed 7" in changed.note
    strip = handlers.strip("single", painting())
    assert [name for _, name in strip.gallery] == ["start scale 1", "start scale 2"]


def test_a_picture_with_transparency_is_painted_over_a_checkerboard_of_which_nothing_stays(tmp_path, temporary):
    network = Recombiner(RecombinerConfig(form="free", count=1, size=(48, 64), names=("own.png",), colours="rgba"))
    drawing = torch.randint(0, 256, (4, 48, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    drawing[3, :, :32], drawing[3, :, 32:] = 0, 255
    network.pictures.copy_(learnt(drawing)[None])
    network.eval().save_pretrained(tmp_path / "models" / "clear")
    handlers = PictureHandlers(Models([tmp_path / "models"]), Trainings(tmp_path / "runs"))
    facts = handlers.facts("clear")
    for place in (facts.canvas, facts.blank):
        shown = np.array(place["value"]["background"])
        assert np.unique(shown[:, : shown.shape[1] // 3]).tolist() == [205, 255]
    layer = np.zeros((*shown.shape[:2], 4), np.uint8)
    layer[: shown.shape[0] // 2, : shown.shape[1] // 4] = (200, 0, 0, 255)
    composite = np.where(layer[..., 3:] > 0, layer[..., :3], shown)
    given = {"background": None, "layers": [layer], "composite": composite}
    changed = handlers.change("clear", given, "harmonise")
    file = torch.from_numpy(np.array(changed.before)).permute(2, 0, 1)
    assert file[:, 4, 4].tolist() == [200, 0, 0, 255]  # painted where nothing was: opaque
    assert torch.equal(file[:, 26:], filed(learnt(drawing))[:, 26:])
    assert np.array(changed.after).shape == (48, 64, 4)
    assert to_tensor(handlers.paint("clear", given, seeds="0").gallery[0][0].getchannel("A")).float().std() > 50
    # A layout's clear ground is understood as what it is.
    write_png(temporary / "layout.png", drawing)
    found = handlers.analogy("clear", str(temporary / "layout.png"), 0, "3").gallery[0][0]
    loaded = handlers.models.open_of_one_picture("clear").network
    expected = filed(analogy(loaded, learnt(drawing), seeds=[3]))[0]
    assert torch.equal(torch.from_numpy(np.array(found)).permute(2, 0, 1), expected)


def test_a_painting_becomes_pictures(handlers, models):
    drawn = handlers.paint("single", painting(), 1, "0-1")
    composite, _ = painted(painting())
    network = models.open_of_one_picture("single").network
    expected = paint_to_image(network, at_size(composite, (28, 28)), 1, seeds=(0, 1), colours=NUM_COLOURS)
    assert torch.equal(to_tensor(drawn.gallery[1][0]), expected[1])


def test_an_animation_is_written_into_the_temporary_folder(handlers, temporary):
    animated = handlers.animate("single", 0.5, 128)
    assert Path(animated.film).is_relative_to(temporary)
    assert Path(animated.animation).stat().st_size > 100
    assert animated.note == "5 frames in 0.5 s, 128 × 128 px."
    preview = handlers.preview("single", 20, 768, 0.9, 0.1, 0, 0)
    assert preview.note == "**Preview**, the beginning: 10 frames in 1 s, 256 × 256 px."


def test_the_page_of_a_model_knows_its_stages_and_colours(handlers, models):
    facts = handlers.facts("single")
    assert facts.about == "28 × 28 px in 3 stages, from the coarsest 12 × 12."
    assert torch.equal(to_tensor(facts.learnt), models.open_of_one_picture("single").network.picture)
    assert facts.canvas["value"]["background"].size == (392, 392)
    brush = facts.blank["brush"]
    assert len(brush["colors"] if isinstance(brush, dict) else brush.colors) == NUM_COLOURS
    assert facts.edit_scale["maximum"] == facts.draw_scale["maximum"] == 2
    assert handlers.opened("gone").models["value"] == "single"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.draw("tiny"), "There is no model called 'tiny'"),
        (lambda h: h.draw("single", 2000, 20), "The width is 2000; it must be between 16 and 1024"),
        (lambda h: h.draw("single", 20, 20, "0-99999999"), "are too many seeds; at most 8"),
        (lambda h: h.draw("single", 20, 20, "../x"), "x"),
        (lambda h: h.draw("single", 20, 20, "0", 3), "The start scale is 3; it must be between 0 and 2"),
        (lambda h: h.change("single", None), "Nothing is painted"),
        (lambda h: h.change("single", {"layers": ["/etc/passwd"]}), "not what the brush of this page gives"),
        (lambda h: h.change("single", {**painting(), "composite": np.zeros((4, 4, 4))}), "not what the brush"),
        (lambda h: h.change("single", painting(), "erase"), "choose one of edit, harmonise"),
        (lambda h: h.animate("single", 21), "length in seconds is 21; it must be between 0.5 and 20"),
        (lambda h: h.start("upload", "/etc/passwd"), "Only files that were uploaded"),
        (lambda h: h.start("upload", None), "Upload a picture first"),
        (lambda h: h.start("coffee", None, "x", 5, 1000), "The longest side is 1000"),
        (lambda h: h.start("coffee", None, "../x"), "Give the run a name"),
    ],
)
def test_impossible_wishes_are_refused_in_a_sentence(handlers, call, message):
    with refused(message):
        call(handlers)


def test_without_a_model_of_one_picture_the_sentence_says_what_to_do(tmp_path):
    with refused("There is no model of one picture yet: make one above"):
        PictureHandlers(Models([tmp_path]), Trainings(tmp_path)).draw("single")


# --- Recognise -------------------------------------------------------------------------------------------------------


def test_classes_are_named_with_their_chances(models, temporary, few_pictures):
    target = temporary / "a.png"
    target.write_bytes(few_pictures[0].read_bytes())
    found = RecogniseHandlers(models).recognise("classes", "upload", str(target))
    large = read_image(target).repeat_interleave(8, 1).repeat_interleave(8, 2)
    assert torch.equal(to_tensor(found.shown), large)
    chances = predict_pictures(models.open_recogniser("classes").network, [read_image(target)])[0]
    assert f"{100 * chances.max():.1f} %" in found.words
    assert "&lt;b&gt;bird&lt;/b&gt;" in found.words
    assert "<b>bird</b>" not in found.words
    assert found.attention.count("<figure>") == 8
    assert found.weights.count("<tr>") > 2


def test_watching_changes_no_answer(models):
    network = models.open_recogniser("classes").network
    twin, seen = watched(network)
    assert torch.equal(predict_pictures(twin, [example()]), predict_pictures(network, [example()]))
    convolutions = [m for m in network.modules() if isinstance(m, SASEConv2d)]
    assert len(seen["maps"]) == len(convolutions) > 0
    assert all(m.min() >= 0 and m.max() <= 1 for m in seen["maps"].values())
    # The original is as it was: nothing is noted any more.
    seen["maps"].clear()
    predict_pictures(network, [example()])
    assert seen["maps"] == {}


def test_attention_is_none_when_all_channels_share_alike_and_full_when_one_has_all():
    layer = SASEConv2d(8, groups=1)
    with torch.no_grad():
        for parameter in layer.query.parameters():
            parameter.zero_()
    assert attention_map(layer, torch.randn(1, 8, 4, 4)).abs().max() < 1e-5
    layer.gate = lambda x: torch.nn.functional.one_hot(torch.zeros(1, 1, 4, 4, dtype=torch.long), 8).permute(
        0, 1, 4, 2, 3
    )
    assert torch.allclose(attention_map(layer, torch.randn(1, 8, 4, 4)), torch.ones(4, 4))


def test_a_detector_finds_or_says_that_it_found_nothing(models):
    found = RecogniseHandlers(models).recognise("finder", "example", None, 1.0)
    assert found.shown.width >= 400
    assert "No object has a score of 1 or more" in found.words
    assert found.attention == attention_html({}, None)
    assert found.weights == weights_html({})


def test_maps_lie_exactly_over_the_picture():
    """Two cells of 32 px, of which padding takes a quarter of the width: the second is half as wide as the first."""
    found = torch.tensor([[1.0, 2.0]])
    padded = Framing(torch.zeros(3, 32, 48, dtype=torch.uint8), (32, 48), (32, 64))
    assert torch.equal(laid_out(found, padded, (2, 6)), torch.tensor([[1.0, 1, 1, 1, 2, 2]]).expand(2, 6))
    # Without padding the last of three cells of 8 px reaches over the edge at 20 px.
    row = torch.tensor([[1.0, 2.0, 3.0]])
    framed = Framing(torch.zeros(3, 8, 20, dtype=torch.uint8), (8, 20))
    assert laid_out(row, framed, (1, 10)).tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 3, 3]]


def test_a_framing_is_what_the_network_sees(models):
    """A detector's attention answers where the picture differs, not beside it."""
    finder = models.open_recogniser("finder").network
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    seen = framing(finder, DETECTOR, image)
    # 64 px for the smallest side, at most 64 for the largest: 42 x 64, padded to multiples of 32.
    assert (seen.inside, seen.covered) == ((42, 64), (64, 64))
    classes = models.open_recogniser("classes").network
    seen = framing(classes, CLASSIFIER, image)
    side = classes.config.pictures.image_size
    assert (seen.inside, seen.covered) == ((side, side), None)
    assert seen.image.shape == (3, side, side)


def test_layers_have_words():
    assert layer_words("network.backbone.body.layer2.0.conv2") == "Stage 2, block 1: conv2"
    assert layer_words("network.blocks.1.0.conv_pw") == "Stage 2, block 1: conv_pw"
    assert layer_words("network.stem") == "stem"


def test_impossible_recognitions_are_refused(models, temporary):
    handlers = RecogniseHandlers(models)
    for arguments, message in (
        (("tiny", "example"), "There is no model called 'tiny'"),
        (("classes", "/etc/passwd"), "choose one of upload, example"),
        (("classes", "upload", "/etc/passwd"), "Only files that were uploaded"),
        (("classes", "example", None, 2), "The least score is 2; it must be between 0 and 1"),
    ):
        with refused(message):
            handlers.recognise(*arguments)
