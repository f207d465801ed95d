"""Instant models in the studio, called as plain functions: drawing, sources, controls, making them, one picture."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import sase_gan
from sase_gan.drawing import applications
from sase_gan.drawing.recipes import draw_recipes
from sase_gan.drawing.sampling import sample_images
from sase_gan.pixels import read_image, to_tensor
from sase_gan.recombination.drawn import NOWHERE
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.recombination.sources import coloured_sources, origin_of, piece_at
from sase_gan.resizing import at_size
from sase_gan.ui.close_up import CloseUpHandlers
from sase_gan.ui.entries import GENERATOR, INSTANT, INSTANT_OF_ONE, PYRAMID, Entry
from sase_gan.ui.models import Models
from sase_gan.ui.one_picture import PictureHandlers
from sase_gan.ui.pictures import Drawn
from sase_gan.ui.recombining import Recombined, RecombineHandlers
from sase_gan.ui.rules import picture_numbers
from sase_gan.ui.set_training import TrainHandlers
from sase_gan.ui.suited import holds_no_pictures, lacks
from sase_gan.ui.tabs.explore import ExploreHandlers
from sase_gan.ui.tabs.generate import GenerateHandlers
from sase_gan.ui.tabs.layers import LayerHandlers
from sase_gan.ui.tabs.mix import MixHandlers
from sase_gan.ui.tracing import SHADE, SourceHandlers, outlined
from sase_gan.ui.training_view import start_sentence, status_html, status_sentence
from sase_gan.ui.trainings import Job, Trainings, TrainingState
from sase_gan.ui.walking import WalkHandlers
from tests.ui.test_handlers import refused

SIDE = 32


def made(pictures, names, **config) -> Recombiner:
    network = Recombiner(RecombinerConfig(count=len(pictures), size=tuple(pictures.shape[2:]), names=names, **config))
    network.pictures.copy_(pictures)
    return network.eval()


@pytest.fixture(scope="module")
def models(few_pictures, tmp_path_factory) -> Models:
    folder = tmp_path_factory.mktemp("instant")
    faces = torch.stack([read_image(path)[:, 4:36, 4:36] for path in few_pictures])
    made(faces, tuple(path.name for path in few_pictures), mirror=True).save_pretrained(folder / "faces")
    one = at_size(faces[0, :, :24], (36, 48))
    made(one[None], (few_pictures[0].name,), form="free").save_pretrained(folder / "one")
    return Models([folder])


@pytest.fixture
def recombine(models) -> RecombineHandlers:
    return RecombineHandlers(models)


def painting(rows: slice, columns: slice, background=None) -> dict:
    layer = np.zeros((64, 64, 4), np.uint8)
    layer[rows, columns] = 255
    return {"background": background, "layers": [layer], "composite": np.full((64, 64, 4), 255, np.uint8)}


# --- in the list, and drawn like others ------------------------------------------------------------------------------


def test_instant_models_are_in_the_lists_that_suit_them(models):
    assert models.names() == ["faces", "one"]
    assert [models.find(name).kind for name in models.names()] == [INSTANT, INSTANT_OF_ONE]
    assert models.names(PYRAMID, INSTANT_OF_ONE) == ["one"]


def test_they_draw_explore_and_walk_as_the_library_does(models, temporary):
    drawn = GenerateHandlers(models).sample("faces", 3, count=2)
    expected = sample_images(models.open("faces").network, [3, 4])
    assert all(torch.equal(to_tensor(image), want) for (image, _), want in zip(drawn.gallery, expected, strict=True))
    assert drawn.gallery[1][0].info["seed"] == "4"
    explore = ExploreHandlers(models)
    assert torch.equal(to_tensor(explore.neighbours("faces", "3").gallery[12][0]), expected[0])
    assert Path(WalkHandlers(models).walk("faces", "3, 4", 0.5, 128).film).is_relative_to(temporary)


def test_what_the_run_of_an_instant_model_drew_is_not_drawn_again(few_pictures, tmp_path, monkeypatch):
    run = sase_gan.train(
        few_pictures[0], out=tmp_path / "mine", figures=False, max_size=32, settings={"schedule.grid_images": 3}
    )
    models, asked = Models([tmp_path]), []
    drawing = "sase_gan.ui.pictures.draw_recipes"
    monkeypatch.setattr(drawing, lambda *what, **how: asked.append(len(what[1])) or draw_recipes(*what))
    handlers = GenerateHandlers(models)
    first = handlers.sample("mine", 0, count=3)
    assert asked == []
    expected = sample_images(models.open("mine").network, [0, 1, 2])
    assert all(torch.equal(to_tensor(image), want) for (image, _), want in zip(first.gallery, expected, strict=True))
    assert first.gallery[2][0].info["seed"] == "2"
    for others in (
        {"seed": 1, "count": 2},
        {"count": 4},
        {"count": 2, "truncation": 0.5},
        {"count": 2, "noise": "off"},
    ):
        handlers.sample("mine", **others)
    assert asked == [2, 4, 2, 2]
    assert run.folder == tmp_path / "mine"


def test_of_one_picture_no_more_than_eight_are_drawn_unasked(models, monkeypatch):
    handlers, asked = GenerateHandlers(models), []
    monkeypatch.setattr(handlers, "sample", lambda model, seed, count, *more: asked.append(count) or Drawn([], ""))
    handlers.redraw("one", count=18)
    handlers.redraw("faces", count=18)
    assert asked == [8, 18]


def test_what_needs_a_network_is_refused_in_one_sentence(models):
    for wanted, call in (
        ("layers", lambda: LayerHandlers(models).look("faces")),
        ("layers to mix", lambda: MixHandlers(models).mix("faces")),
        ("directions", lambda: ExploreHandlers(models).move("faces")),
    ):
        with refused(f"Faces is an instant model: it has no {wanted}, because no network was trained"):
            call()
        assert lacks(wanted)(models.find("faces")).count(".") == 1
    trained = Entry("gan", Path(), None, GENERATOR)
    assert lacks("layers")(trained) == ""
    assert "holds no training pictures" in holds_no_pictures(trained)
    assert holds_no_pictures(models.find("one")) == ""


# --- where pictures came from ----------------------------------------------------------------------------------------


def test_a_close_look_shows_the_map_of_sources_and_a_click_the_training_picture(models, few_pictures):
    generate, network = GenerateHandlers(models), models.open("faces").network
    sheet = generate.sample("faces", 3, count=2).sheet
    panel, words, coloured, legend, _, trace = CloseUpHandlers(models).choose(sheet, 1).sources
    maps: list = []
    image = sample_images(network, [4], sources=maps)[0]
    origin = origin_of(maps[0][0], network.pictures)
    assert panel["visible"] is True
    assert torch.equal(to_tensor(coloured), coloured_sources(image, maps[0][0], network.pictures, origin))
    index, share = origin.shares[0]
    assert f"{share:.0%} from {few_pictures[index].name}" in words
    assert "which the model contains" in words
    assert legend[0][1] == f"{share:.0%} {few_pictures[index].name}"
    sources = SourceHandlers(models)
    row, column = 5, 20
    source = int(trace.sources[row, column, 0]) % 8
    shown = sources.point(trace, [column, row])
    assert f"In {few_pictures[source].name}" in shown
    assert shown.count("<figure>") == 2
    assert f"In {few_pictures[index].name}" in sources.pick(trace, 0)
    for wrong in ([SIDE, 0], [-1, 0], None, "x"):
        with refused("."):
            sources.point(trace, wrong)
    with refused("This picture is no longer there"):
        sources.point(None, [0, 0])


def test_a_trained_model_has_no_map(models_folder):
    models = Models([models_folder])
    generate = GenerateHandlers(models)
    panel, *_, trace = CloseUpHandlers(models).choose(generate.sample("tiny", count=1).sheet, 0).sources
    assert panel["visible"] is False
    assert trace is None


def test_a_piece_lies_where_its_pixels_came_from():
    """By hand: left half from the mirror image of picture 1, one row lower; right half kept."""
    sources = torch.full((4, 6, 3), NOWHERE, dtype=torch.int16)
    for row in range(4):
        for column in range(3):
            # Shown mirrored, and moved down by one: its source is a row above, at the opposite column.
            sources[row, column] = torch.tensor([3, max(0, row - 1), 5 - column])
    pictures = torch.zeros(2, 3, 4, 6, dtype=torch.uint8)
    piece = piece_at(sources, pictures, 2, 1)
    assert (piece.region.picture, piece.region.mirrored, piece.region.down, piece.region.right) == (1, True, 1, 0)
    assert piece.region.share == pytest.approx(9 / 24)
    assert piece.here.nonzero().tolist() == [[row, column] for row in (1, 2, 3) for column in range(3)]
    assert piece.there.nonzero().tolist() == [[row, column] for row in (0, 1, 2) for column in (3, 4, 5)]
    assert piece_at(sources, pictures, 0, 4) is None


def test_an_outline_leaves_its_inside_and_shades_the_rest():
    image, inside = torch.full((3, 320, 320), 200, dtype=torch.uint8), torch.zeros(320, 320, dtype=torch.bool)
    inside[100:200, 50:80] = True
    shown = outlined(image, inside)
    assert (shown[:, inside] == 200).all()
    assert (shown[:, :90] == round(SHADE * 200)).all()
    assert (shown[:, 98, 60] == 255).all()
    assert (shown[:, 97, 60] == 0).all()


# --- control ---------------------------------------------------------------------------------------------------------


def used(drawn: Recombined, rows: slice, columns: slice) -> set[int]:
    """The training pictures that serve in a part of the drawn pictures."""
    return {int(value) % 8 for trace in drawn.traces for value in trace.sources[rows, columns, 0].flatten()}


def test_the_chosen_pictures_alone_serve(recombine, models):
    everything = slice(None)
    drawn = recombine.draw("faces", 3, 2, 1, "2, 5-6")
    assert used(drawn, everything, everything) <= {2, 5, 6}
    assert drawn.note.startswith("From 3 of 8 training pictures. **Seeds 3 to 4**")
    free = recombine.draw("faces", 3, 2, 1, "")
    expected = sample_images(models.open("faces").network, [3, 4])
    assert torch.equal(torch.stack([trace.image for trace in free.traces]), expected)
    assert free.gallery[1][0].info["variety"] == "1"
    assert not torch.equal(recombine.draw("faces", 3, 2, 1.8, "").traces[0].image, expected[0])
    assert models.open("faces").network.variety == 1


def test_regions_are_bound_and_kept_free(recombine):
    top, all_of_it = slice(0, 32), slice(None)
    added = recombine.add_region("faces", painting(top, all_of_it, np.zeros((64, 64, 4), np.uint8)), "4", "only", ())
    assert added.listed.count("<figure>") == 2
    assert added.canvas["background"].size == (64, 64)
    low = painting(slice(32, 64), all_of_it)
    drawn = recombine.draw_regions("faces", 3, 3, 1, added.rules, low, "0-5", "without")
    assert used(drawn, slice(0, 16), all_of_it) == {4}
    assert used(drawn, slice(16, 32), all_of_it) <= {6, 7}
    assert drawn.note.startswith("2 regions bound.")


def test_only_the_painted_part_of_a_photograph_changes(recombine, temporary, few_pictures):
    upload = temporary / "photo.png"
    upload.write_bytes(few_pictures[3].read_bytes())
    background = recombine.photograph("faces", str(upload), "painted").canvas["background"]
    assert background.size == (384, 384)
    photograph = to_tensor(background.resize((SIDE, SIDE), 0))
    brush = painting(slice(0, 32), slice(0, 32))
    drawn = recombine.draw_photograph("faces", 3, 1, 1, str(upload), "painted", 0.5, brush)
    image = drawn.traces[0].image
    assert torch.equal(image[:, 16:], photograph[:, 16:])
    assert torch.equal(image[:, :, 16:], photograph[:, :, 16:])
    assert not torch.equal(image, photograph)
    words = recombine.look(drawn.traces, 0).sources[1]
    assert "75% was kept of your photograph" in words
    assert "kept of your photograph" in SourceHandlers(recombine.models).point(drawn.traces[0], [30, 30])
    varied = [
        recombine.draw_photograph("faces", 3, 1, 1, str(upload), "vary", strength, None).traces[0].image.float()
        for strength in (0.1, 1.0)
    ]
    near, far = ((each - photograph.float()).abs().mean() for each in varied)
    assert near < far


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.draw("faces", -5, 1, 1, ""), "The seed is -5; it must be between"),
        (lambda h: h.draw("faces", 0, 17, 1, ""), "The number of pictures is 17"),
        (lambda h: h.draw("faces", 0, 1, 9, ""), "The variety is 9; it must be between 0.5 and 2"),
        (lambda h: h.draw("faces", 0, 1, 1, "8"), "There is no training picture 8; this model has 0 to 7"),
        (lambda h: h.draw("faces", 0, 1, 1, "0-999999"), "There is no training picture 0-999999"),
        (lambda h: h.draw("faces", 0, 1, 1, "../x"), "is no training picture; write their numbers"),
        (lambda h: h.draw("gone", 0, 1, 1, ""), "There is no model called"),
        (lambda h: h.draw_regions("faces", 0, 1, 1, (), None, "1", "only"), "Nothing is bound yet"),
        (
            lambda h: h.draw_regions("faces", 0, 1, 1, (), painting(slice(9), slice(9)), "", "only"),
            "No training picture is chosen",
        ),
        (
            lambda h: h.draw_regions("faces", 0, 1, 1, (), painting(slice(9), slice(9)), "0-7", "without"),
            "no training picture is left",
        ),
        (lambda h: h.draw_photograph("faces", 0, 1, 1, None, "vary", 0.5, None), "Upload a picture first"),
        (lambda h: h.draw_photograph("faces", 0, 1, 1, "/etc/passwd", "vary", 0.5, None), "Only files that were"),
        (lambda h: h.add_region("faces", None, "1", "only", ()), "Nothing is painted"),
        (lambda h: h.add_region("faces", painting(slice(9), slice(9)), "1", "never", ()), "choose one of only"),
        (lambda h: h.look(None, 0), "This picture is no longer there"),
    ],
)
def test_what_is_impossible_is_refused_in_a_sentence(recombine, temporary, call, message):
    with refused("(?i)" + message):
        call(recombine)


def test_clicks_choose_pictures_and_leave_them_out(recombine):
    assert recombine.toggle("", 3) == "3"
    assert recombine.toggle("3, 5-6", 5) == "3, 6"
    assert recombine.toggle("nonsense", 2) == "2"
    assert picture_numbers(" ", 3) == []
    held = recombine.holdings("faces")
    assert len(held.pictures) == 8
    assert (held.chosen, held.rules, held.shown_of) == ("", (), "faces")
    assert "pictures" not in recombine.holdings("faces", "faces").pictures
    shown = recombine.show_chosen("faces", "0-6")
    assert shown.count("<figure>") == 4
    assert "and 3 more" in shown
    with refused("There is no training picture 8"):
        recombine.show_chosen("faces", "8")


# --- making them -----------------------------------------------------------------------------------------------------


@pytest.fixture
def train(tmp_path, temporary, monkeypatch, models_folder) -> TrainHandlers:
    """Handlers whose trainings note what they are to start."""
    trainings = Trainings(tmp_path / "runs")
    monkeypatch.setattr(trainings, "_launch", lambda job, arguments: trainings.__dict__.update(said=arguments) or job)
    return TrainHandlers(trainings, Models([models_folder]))


def put(temporary: Path, paths: list[Path]) -> list[str]:
    for path in paths:
        (temporary / path.name).write_bytes(path.read_bytes())
    return [str(temporary / path.name) for path in paths]


def test_few_pictures_become_an_instant_model_where_train_would_choose_it(train, temporary, few_pictures):
    files = put(temporary, few_pictures)
    way, why = train.advised("upload", files)
    assert (way, why[:19]) == ("instant", "8 pictures draw bes")
    assert train.advised("upload", files[:1])[1].startswith("One picture draws best at once")
    assert train.advised("faces", None)[0] == "network"
    assert "is being made" in train.start("upload", files, "mine")
    said = train.trainings.said
    assert said[:4] == ["train", "--preset", "instant", "--no-figures"]
    assert "--minutes" not in said
    assert len(list(Path(said[-1]).iterdir())) == 8
    train.start("upload", files, "mine", way="network")
    assert "instant" not in train.trainings.said
    assert "--minutes" in train.trainings.said


def test_one_picture_is_handed_on_as_a_file_with_the_size_of_its_longer_side(train, temporary, few_pictures):
    train.start("upload", put(temporary, few_pictures[:1]), "one", 5, 64)
    said = train.trainings.said
    assert Path(said[-1]).is_file()
    assert said[said.index("--max-size") + 1] == "64"
    assert "--fit" not in said
    with refused("choose one of auto, instant, network"):
        train.start("upload", put(temporary, few_pictures), "x", way="magic")


def test_an_instant_model_has_words_of_its_own_in_every_state():
    for state in ("preparing", "running", "stopping", "finished", "stopped", "failed"):
        found = TrainingState("mine-001", state, message="no picture", instant=True)
        assert "images" not in status_sentence(found).replace("no picture", "")
        assert "mine-001" in status_html(found)
    assert "contains its training pictures" in status_sentence(TrainingState("mine-001", "finished", instant=True))
    assert "eight pictures" in start_sentence(Job("mine-001", 1, 0.0, instant=True))


# --- one picture -----------------------------------------------------------------------------------------------------


def test_an_instant_model_of_one_picture_does_what_the_library_does(models, tmp_path, temporary, few_pictures):
    handlers = PictureHandlers(models, Trainings(tmp_path / "runs"))
    network = models.open_of_one_picture("one").network
    assert "contains its picture" in handlers.facts("one").about
    assert torch.equal(to_tensor(handlers.facts("one").learnt), network.pictures[0])
    cases = {
        partial(handlers.draw, "one", 60, 36, "3"): applications.sample(network, [3], size=(36, 60)),
        partial(handlers.draw, "one", 60, 36, "3", manner="retarget"): applications.retarget(
            network, (36, 60), seeds=[3]
        ),
        partial(handlers.draw, "one", 48, 36, "3", manner="symmetric"): applications.symmetric(network, [3]),
        partial(handlers.draw, "one", 48, 36, "3", tiles=True): applications.tile(network, [3], size=(36, 48)),
    }
    for call, expected in cases.items():
        assert torch.equal(to_tensor(call().gallery[0][0]), expected[0]), call.keywords
    upload = put(temporary, few_pictures[3:4])[0]
    layout = applications.analogy(network, read_image(few_pictures[3]), seeds=[3])
    assert torch.equal(to_tensor(handlers.analogy("one", upload, 0, "3").gallery[0][0]), layout[0])


def test_what_would_take_minutes_is_refused_before_it_is_begun(models, tmp_path, temporary):
    handlers = PictureHandlers(models, Trainings(tmp_path / "runs"))
    with refused("4 pictures of 1024 × 1024 px would take many minutes"):
        handlers.draw("one", 1024, 1024, "0-3")
    with refused("Seamless tiles of an instant model begin anew"):
        handlers.draw("one", 32, 32, "0", 1, True)
    with refused("Seamless tiles are new pictures; choose the manner New"):
        handlers.draw("one", 32, 32, "0", 0, True, "symmetric")
