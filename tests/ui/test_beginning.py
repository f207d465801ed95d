"""What a visitor begins with: own pictures and their name, another model, a photograph; without a browser."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sase_gan.drawing.inversions import Inversion, read_inversion, shift_shape
from sase_gan.drawing.inverting import InvertingSettings
from sase_gan.drawing.recipes import Recipe
from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.errors import UsageError
from sase_gan.networks.generator import GeneratorConfig
from sase_gan.pixels import to_tensor
from sase_gan.ui import bringing, own_pictures
from sase_gan.ui import set_training as train
from sase_gan.ui.checks import named_picture
from sase_gan.ui.close_up import CloseUpHandlers, describe_recipe, sized
from sase_gan.ui.favourites import contact_sheet, keep
from sase_gan.ui.models import Models
from sase_gan.ui.photographs import AT_HAND, Photographs, named_pictures
from sase_gan.ui.pictures import Sheet, short_name
from sase_gan.ui.tabs import explore, layers, mix
from sase_gan.ui.trainings import Trainings
from tests.awake import awake
from tests.ui.test_handlers import refused


@pytest.fixture(scope="module")
def models(models_folder) -> Models:
    return Models([models_folder])


# --- own pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "folder", "name"),
    [
        (["t/my set.zip"], "", "my set"),
        (["t/Rex_01.jpg"], "", "Rex_01"),
        (["t/IMG_0012.jpg", "u/IMG_0013.jpg"], "", "IMG"),
        (["t/a.png", "t/b.png"], "Katzen & Hunde", "Katzen Hunde"),
        (["t/a.png", "t/b.png"], "", own_pictures.UNNAMED),
        (["t/.../..png"], "../../etc", "etc"),
        (None, "", own_pictures.UNNAMED),
        (["t/" + 60 * "x" + ".png"], "", 40 * "x"),
    ],
)
def test_a_run_is_named_after_its_pictures(files, folder, name):
    assert own_pictures.suggested_name(files, folder) == name


def test_a_name_that_was_typed_stays(few_pictures):
    files = [str(path) for path in few_pictures]
    assert own_pictures.renamed("faces", files, "", "my pictures", "my pictures", train.SETS) == ("emoji-faces",) * 2
    typed, suggested = own_pictures.renamed("upload", files, "cats", "mine", "my pictures", train.SETS)
    assert (typed, suggested) == (own_pictures.gr.skip(), "cats")


def test_of_a_folder_the_pictures_are_taken(temporary, few_pictures):
    for name in ("b.png", "a.jpg", "notes.txt", ".hidden.png"):
        (temporary / name).write_bytes(b"")
    paths = [str(temporary / name) for name in ("b.png", "a.jpg", "notes.txt", ".hidden.png")]
    assert [Path(path).name for path in own_pictures.pictures_among(paths)] == ["a.jpg", "b.png"]
    with pytest.raises(UsageError, match="Only files that were uploaded"):
        own_pictures.pictures_among([str(few_pictures[0])])


# --- a start from another model --------------------------------------------------------------------------------------


@pytest.fixture
def handlers(tmp_path, temporary, models, monkeypatch) -> train.TrainHandlers:
    """Handlers whose trainings note what they are to start."""
    trainings = Trainings(tmp_path / "runs")
    monkeypatch.setattr(trainings, "_launch", lambda job, arguments: trainings.__dict__.update(said=arguments) or job)
    return train.TrainHandlers(trainings, models)


def begin(handlers, **how) -> list[str]:
    handlers.start("faces", None, "x", way="network", **how)
    return handlers.trainings.said


def test_a_network_starts_from_another_model_as_the_command_line_does(handlers, models):
    said = begin(handlers, start_from="plain", rate_factor=0.5)
    assert said[said.index("--from") + 1] == str(models.find("plain").folder)
    assert said[said.index("--rate-factor") + 1] == "0.5"
    assert "--freeze" not in said
    assert "--colours" not in said
    assert "--from" not in begin(handlers)
    said = begin(handlers, colours="rgba", image_size="96x64")
    assert said[said.index("--colours") + 1] == "rgba"
    assert said[said.index("--image-size") + 1] == "96x64"


def test_a_run_that_can_be_gone_on_with_is_started_from_with_its_discriminator(tmp_path, models):
    entry = models.find("tiny")
    run = tmp_path / "tiny"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"")
    assert train.starting_place(replace(entry, run=run), "auto", 2) == run
    assert train.starting_place(replace(entry, run=run, name="tiny at 000001kimg"), "auto", 0) == entry.folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"start_from": "nowhere"}, "There is no model called"),
        ({"start_from": "instant"}, "There is no model called"),
        ({"start_from": "plain", "colours": "grey"}, "The colours are grey, and those of plain are rgb"),
        ({"start_from": "plain", "freeze": 2}, "comes without its discriminator"),
        ({"freeze": 2}, "Frozen layers are those of a model that is started from"),
        ({"colours": "cmyk"}, "choose one of auto, rgb, grey, rgba"),
        ({"rate_factor": 0}, "it must be between 0.01 and 10"),
    ],
)
def test_a_start_that_cannot_be_is_refused(handlers, how, message):
    with refused(message):
        begin(handlers, **how)


def test_an_instant_model_starts_from_nothing(handlers):
    with refused("An instant model starts from no other model"):
        handlers.start("faces", None, "x", way="instant", start_from="plain")


# --- photographs -----------------------------------------------------------------------------------------------------


@pytest.fixture
def photograph(models) -> Inversion:
    """Seed 7 of `tiny` as if it were a photograph that was brought in."""
    opened = models.open("tiny")
    inputs = draw_inputs(opened.network, [7])
    shift = torch.zeros(shift_shape(opened.network))
    noise = tuple(maps[0] for maps in inputs.noise)
    return AT_HAND.keep(Inversion("found", inputs.z[0], shift, noise, snapshot=opened.digest))


def test_a_photograph_is_named_like_a_seed_everywhere(models, photograph):
    name = photograph.name
    assert named_picture(name).inversion is photograph
    expected = sample_images(models.open("tiny").network, [7])[0]
    handlers = explore.ExploreHandlers(models)
    drawn = handlers.neighbours("tiny", name)
    assert torch.equal(to_tensor(drawn.gallery[12][0]), expected)
    assert [caption for _, caption in drawn.gallery[11:13]] == ["photo@60.0.11", "photo"]
    assert handlers.name_at(drawn.sheet, 3) == f"{name}@60.0.3"
    moved = handlers.move("tiny", f"{name}@60.0.3", "factorisation", 2)
    assert moved.name == f"{name}@60.0.3+f0.200"
    assert short_name(named_picture(moved.name)) == "…+f0.200"
    assert "### A photograph" in describe_recipe(named_picture(name))
    assert "2 steps from a photograph" in describe_recipe(named_picture(moved.name))
    assert layers.LayerHandlers(models).look("tiny", name).masks
    assert mix.MixHandlers(models).mix("tiny", name, "1, 2")[0].width > 100
    close = CloseUpHandlers(models).choose(Sheet("tiny", (named_picture(name),)), 0)
    assert torch.equal(to_tensor(close.large), expected)
    assert close.name == name


def test_a_photograph_of_another_model_is_refused(models, photograph):
    with refused("is to draw it, where it is something else"):
        explore.ExploreHandlers(models).neighbours("plain", photograph.name)
    with refused("is to draw it, where it is something else"):
        mix.MixHandlers(models).mix("plain", "0", photograph.name)


def test_only_what_is_at_hand_is_read_and_the_oldest_goes(photograph, tmp_path, monkeypatch):
    few = Photographs(most=2)
    names = [few.keep(photograph).name for _ in range(3)]
    assert list(few.known()) == names[1:]
    assert len(set(names)) == 3
    with pytest.raises(UsageError, match=r"photo-0123456789\.recipe is no longer at hand"):
        named_pictures("3, photo-0123456789.recipe@60.0.3", most=2)
    photograph.save(tmp_path / "mine.recipe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is not understood"):
        named_pictures("mine.recipe", most=1)


def test_a_photograph_is_brought_in_and_told_how_near(models, temporary, few_pictures, monkeypatch):
    short = InvertingSettings(latent_steps=2, map_steps=1, noise_steps=1, examples=16)
    monkeypatch.setitem(bringing.WAYS, "near", short)
    monkeypatch.setattr(bringing, "COMPARED", 2)
    upload = temporary / "mine.png"
    upload.write_bytes(few_pictures[0].read_bytes())
    found = bringing.PhotographHandlers(models).bring("tiny", str(upload))
    assert found.note.startswith("**This model ")
    assert "of the training pictures, which it shows at" in found.note or "no nearer than another" in found.note
    assert Path(found.file).name == found.name
    assert torch.equal(read_inversion(found.file).z, named_picture(found.name).inversion.z)
    assert found.before.size == found.after.size == (64, 64)
    with refused("Upload a photograph first"):
        bringing.PhotographHandlers(models).bring("tiny")
    with refused("it has no space for photographs"):
        bringing.PhotographHandlers(models).bring("instant", str(upload))
    with refused("Only files that were uploaded"):
        bringing.PhotographHandlers(models).bring("tiny", str(few_pictures[0]))


# --- transparency ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clear(tmp_path_factory) -> Models:
    folder = tmp_path_factory.mktemp("clear")
    small = {"image_size": 64, "width": 8, "latent_size": 16, "spectral_norm": False}
    for colours in ("rgba", "grey"):
        awake(GeneratorConfig(colours=colours, **small)).save_pretrained(folder / colours)
    return Models([folder])


@pytest.mark.parametrize(("model", "mode"), [("rgba", "RGBA"), ("grey", "L")])
def test_pictures_are_downloaded_as_files_hold_them(clear, model, mode):
    close = CloseUpHandlers(clear).choose(Sheet(model, (Recipe(3),)), 0)
    filed = sample_images(clear.open(model).network, [3], ground="file")[0]
    assert close.original.mode == mode
    assert torch.equal(_values(close.original), filed)
    large = sized(close.original, "smooth")
    assert (large.mode, large.size, large.info["seed"]) == (mode, (256, 256), "3")
    kept = keep((), close.recipe, model, close.original).kept
    assert kept[0].image.mode == mode
    assert contact_sheet(kept).mode == "RGB"


def _values(image) -> torch.Tensor:
    values = torch.from_numpy(np.array(image))
    return values.view(image.height, image.width, -1).permute(2, 0, 1)
