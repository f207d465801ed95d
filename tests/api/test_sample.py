"""`sase_gan.load` and `sase_gan.sample`: every kind of source, images that show and save themselves."""

import io

import pytest
import torch
from PIL import Image

import sase_gan
from sase_gan.api.images import listed
from sase_gan.drawing.recipes import parse_names
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.networks.pyramid import PyramidConfig
from sase_gan.pixels import read_image, read_png_text
from sase_gan.sheets import grid
from sase_gan.snapshot import snapshot_digest


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny-001"
    torch.manual_seed(0)
    network = sase_gan.Generator(sase_gan.networks.generator.GeneratorConfig(image_size=32, width=4))
    network.folded().save_pretrained(folder / "snapshots" / "000001kimg")
    (folder / "config.yaml").write_text("seed: 0\n")
    return folder


@pytest.fixture(scope="module")
def pyramid():
    torch.manual_seed(0)
    return sase_gan.Pyramid(PyramidConfig(sizes=((12, 16), (18, 24)), width=8, finished_stages=1)).eval()


def test_run_and_snapshot_give_the_same_model(run):
    by_run = sase_gan.load(run, device="cpu").state_dict()
    by_snapshot = sase_gan.load(str(run / "snapshots" / "000001kimg"), device="cpu").state_dict()
    assert by_run.keys() == by_snapshot.keys()
    assert all(torch.equal(by_run[name], by_snapshot[name]) for name in by_run)


def test_a_hub_name_is_looked_up_only_where_no_folder_has_it(run, tmp_path, monkeypatch):
    snapshot = run / "snapshots" / "000001kimg"
    asked = []

    def download(name, file):
        asked.append((name, file))
        return str(snapshot / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.chdir(tmp_path)
    assert isinstance(sase_gan.load("someone/faces", device="cpu"), sase_gan.Generator)
    assert asked == [("someone/faces", "model.safetensors")]
    (tmp_path / "someone" / "faces").mkdir(parents=True)
    with pytest.raises(DataError, match="someone/faces is neither a snapshot nor a run"):
        sase_gan.load("someone/faces", device="cpu")
    with pytest.raises(DataError, match="someone/horses does not exist; give a folder"):
        sase_gan.load("someone/horses", device="cpu")  # a slip in the name of a folder here
    assert len(asked) == 1


@pytest.mark.parametrize("source", ["nowhere", "/no/where/at/all"])
def test_what_is_nowhere_is_refused_in_a_sentence(source):
    with pytest.raises(DataError, match=f"{source} does not exist; give a folder"):
        sase_gan.load(source)


def test_without_a_network_the_copy_of_before_serves(run, monkeypatch):
    kept = run / "snapshots" / "000001kimg" / "model.safetensors"
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: str(kept))
    assert isinstance(sase_gan.load("someone/faces", device="cpu"), sase_gan.Generator)


def test_an_unreachable_hub_is_a_sentence_and_nothing_is_tried_again(monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: pytest.fail("a download was begun"))
    with pytest.raises(DataError, match=r"someone/faces is no folder here, and no model .* check the name"):
        sase_gan.load("someone/faces")


def test_images_equal_those_of_the_drawing_room(run):
    images = sase_gan.sample(run, seeds=range(3, 8), truncation=0.7, noise="fixed", device="cpu", progress=False)
    expected = sample_images(sase_gan.load(run, device="cpu"), range(3, 8), truncation=0.7, noise="fixed")
    assert torch.equal(images.pixels, expected)
    assert images.names == ("3", "4", "5", "6", "7")


def test_a_network_in_memory_is_drawn_from_as_it_is(pyramid):
    images = sase_gan.sample(pyramid, "1,2", finished_stages=0, progress=False)
    assert pyramid.finished_stages == 1
    assert torch.equal(images.pixels, sample_images(pyramid_without_finish(pyramid), [1, 2]))
    assert "snapshot" not in images.text


def pyramid_without_finish(pyramid):
    bare = sase_gan.Pyramid(pyramid.config.model_copy(update={"finished_stages": 0})).eval()
    bare.load_state_dict(pyramid.state_dict())
    return bare


def test_a_side_that_is_left_open_is_the_models_own(pyramid):
    assert sase_gan.sample(pyramid, "0", size=(30, None), progress=False).pixels.shape == (1, 3, 30, 24)


def test_progress_is_told_in_images(run):
    told = []
    sase_gan.sample(run, range(5), batch_size=2, device="cpu", progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_a_terminal_shows_a_bar_unless_it_is_not_wanted(run, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # the console takes this for a terminal
    sase_gan.sample(run, "0", device="cpu")
    assert "drawing" in capsys.readouterr().err
    sase_gan.sample(run, "0", device="cpu", progress=False)
    assert capsys.readouterr().err == ""


def test_images_show_themselves_as_a_grid(run):
    images = sase_gan.sample(run, range(4), device="cpu", progress=False)
    shown = Image.open(io.BytesIO(images._repr_png_()))
    assert shown.size == (grid(images.pixels).shape[2], grid(images.pixels).shape[1])
    assert repr(images[1]) == "1 image of 32x32"
    assert [part.names for part in images] == [("0",), ("1",), ("2",), ("3",)]
    with pytest.raises(IndexError):
        images[4]


def test_saved_images_say_how_they_were_drawn(run, tmp_path):
    images = sase_gan.sample(run, "5,7~50.3.2", device="cpu", progress=False)
    sheet = images.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.png", "seed000005.png", "seed000007~50.3.2.png"]
    assert torch.equal(read_image(tmp_path / "seed000005.png"), images.pixels[0])
    text = read_png_text(tmp_path / "seed000007~50.3.2.png")
    assert (text["seed"], text["picture"]) == ("7", "7~50.3.2")
    assert text["snapshot"] == snapshot_digest(run / "snapshots" / "000001kimg")
    assert read_png_text(sheet)["seeds"] == "5,7~50.3.2"
    assert [path.name for path in (images.save(tmp_path / "only", grid_only=True)).parent.iterdir()] == ["grid.png"]


@pytest.mark.parametrize("text", ["0", "0,1", "0-2", "0,4-6,9", "3,2,1", "1,1,2", "4-6,7~50.3.2,8"])
def test_lists_of_names_are_read_back(text):
    assert listed(parse_names(text)) == text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": (8, 8)}, "size: only models of one picture"),
        ({"start_scale": 1}, "start_scale: only models of one picture"),
        ({"finished_stages": 1, "size": (8, 8)}, "size, finished_stages: only models of one picture"),
        ({"seeds": []}, "no seed was given"),
        ({"seeds": [-1]}, "seed is -1"),
        ({"truncation": 3}, "truncation is 3"),
        ({"noise": "loud"}, "noise is 'loud'"),
    ],
)
def test_refusals(run, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        sase_gan.sample(run, **{"seeds": [0], "device": "cpu", "progress": False} | options)


def test_truncation_and_another_size_exclude_each_other(pyramid):
    with pytest.raises(UsageError, match=r"truncation is 0\.5, which keeps the trained size"):
        sase_gan.sample(pyramid, "0", size=(20, 20), truncation=0.5, progress=False)
