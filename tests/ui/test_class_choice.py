"""The choice of a class in the studio, as functions and, by hand of a visitor, in a browser."""

import re

import pytest
import torch

from sase_gan.drawing.recipes import draw_recipes, parse_names
from sase_gan.networks.generator import GeneratorConfig
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.ui import class_choice, live
from sase_gan.ui.between_classes import BetweenHandlers
from sase_gan.ui.class_choice import Known, choice_of, classes_of, named_in_address, of_another_model, renamed
from sase_gan.ui.models import Models
from sase_gan.ui.tabs import explore, mix
from tests.awake import awake
from tests.ui.browsing import BROWSED, PATIENCE, Watched, choose_model, text_of
from tests.ui.conftest import Server
from tests.ui.test_handlers import refused

FACES_AND_FRUITS = Known(("faces", "fruits"))


@pytest.fixture(scope="module")
def sorted_folder(tmp_path_factory):
    """A small generator `sorted` and an instant model `held` of the classes faces and fruits, and `plain` of none."""
    folder = tmp_path_factory.mktemp("sorted")
    small = {"image_size": 32, "width": 4, "latent_size": 8, "spectral_norm": False}
    classes = {"classes": ("faces", "fruits"), "class_counts": (2, 2)}
    network = awake(GeneratorConfig(**small, **classes))
    with torch.no_grad():  # so far apart that it is seen of an untrained network
        network.class_embedding.mul_(100)
    network.save_pretrained(folder / "sorted")
    awake(GeneratorConfig(**small)).save_pretrained(folder / "plain")
    names = ("a.png", "b.png", "c.png", "d.png")
    held = Recombiner(
        RecombinerConfig(count=4, size=(16, 16), names=names, classes=("faces", "fruits"), labels=(0, 0, 1, 1))
    )
    held.pictures.copy_(
        torch.randint(256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    )
    held.eval().save_pretrained(folder / "held")
    return folder


@pytest.fixture(scope="module")
def models(sorted_folder) -> Models:
    return Models([sorted_folder])


def test_a_choice_is_written_into_the_names_and_read_from_them():
    names = "0, 4-5=fruits, 7=faces~40.0.3"
    assert renamed(names, FACES_AND_FRUITS, "faces") == "0=faces, 4-5=faces, 7=faces~40.0.3"
    mixed = renamed(names, FACES_AND_FRUITS, "faces", "fruits", 30)
    assert mixed == "0=faces.70=fruits.30, 4-5=faces.70=fruits.30, 7=faces.70=fruits.30~40.0.3"
    assert renamed(mixed, FACES_AND_FRUITS, "") == "0, 4-5, 7~40.0.3"
    assert renamed(names, FACES_AND_FRUITS, None) == names
    with refused("The class is 'cats'"):
        renamed(names, FACES_AND_FRUITS, "cats")

    def shown(text: str, known: Known = FACES_AND_FRUITS) -> list[object]:
        return [part.get("value") for part in choice_of(known, text, 9)[1:]]

    assert shown(mixed) == ["faces", "fruits", 30]
    assert shown("3=fruits@60.0.3") == ["fruits", "", class_choice.USUAL_SHARE]
    assert shown("0, 1")[0] == ""
    assert shown(names)[0] is shown("no picture")[0] is shown("3=cats")[0] is None
    assert not choice_of(Known(), "0", 1)[0]["visible"]
    assert not choice_of(FACES_AND_FRUITS._replace(mixes=False), "0=faces", 1)[2]["visible"]


def test_names_lose_classes_that_another_model_does_not_have(models):
    assert of_another_model(Known(), "0=faces, 3", 9) == "0, 3"
    assert "value" not in of_another_model(FACES_AND_FRUITS, "0=faces, 3", 9)
    assert classes_of(models, "sorted") == FACES_AND_FRUITS
    assert not classes_of(models, "held").mixes
    assert classes_of(models, "plain") == classes_of(models, "gone") == Known()
    assert named_in_address({"picture": "7=fruits~40.0.3"}, models, "sorted") == "7=fruits~40.0.3"
    assert named_in_address({"picture": "7=fruits~40.0.3"}, models, "plain") == "7~40.0.3"
    assert not isinstance(named_in_address({"picture": "<b>"}, models, "plain"), str)


def test_map_mixture_and_the_way_between_classes_are_of_the_classes_that_names_say(models):
    drawn = explore.ExploreHandlers(models).neighbours("sorted", "7=faces.60=fruits.40")
    assert drawn.sheet.recipes[3].name == "7=faces.60=fruits.40@60.0.3"
    assert drawn.gallery[0][1] == "7=60/40@60.0.0"
    between = BetweenHandlers(models).between("sorted", "7, 8=fruits", "faces", "fruits")
    names = [recipe.name for recipe in between.sheet.recipes]
    assert names[:3] == ["7=faces", "7=faces.80=fruits.20", "7=faces.60=fruits.40"]
    assert names[5:7] == ["7=fruits", "8=faces"]
    network = models.open("sorted").network
    first, last = draw_recipes(network, parse_names("7=faces,7=fruits"))
    assert not torch.equal(first, last)
    rows = [recipe.class_weights(network) for recipe in between.sheet.recipes[:6]]
    torch.testing.assert_close(rows, [torch.lerp(rows[0], rows[5], step / 5) for step in range(6)])
    table, note = mix.MixHandlers(models).mix("sorted", "0=faces", "1=fruits", 8)
    assert "1=fruits" in note
    assert table.info["rows"] == "0=faces"
    with refused("Both classes are faces"):
        BetweenHandlers(models).between("sorted", "7", "faces", "faces")
    with refused("Plain has no classes"):
        BetweenHandlers(models).between("plain", "7", "faces", "fruits")


def test_a_live_picture_is_of_the_class_that_is_wished(models):
    handlers = live.LiveHandlers(models)
    wish = {"model": "sorted", "picture": "7=fruits", "values": [], "kind": "faces", "other": "fruits", "share": 30}
    image, name = handlers.drawn(wish)
    assert name == "7=faces.70=fruits.30"
    assert torch.equal(image, draw_recipes(models.open("sorted").network, parse_names(name))[0])
    assert handlers.drawn({**wish, "kind": ""})[1] == "7=fruits"
    assert handlers.frame({**wish, "asks": True})["classes"] == {"names": ("faces", "fruits"), "mixes": True}
    assert "classes" not in handlers.frame(wish)
    assert "there is no class 'cats'" in handlers.frame({**wish, "kind": "cats"})["error"].lower()
    assert "The share is 300" in handlers.frame({**wish, "share": 300})["error"]


@pytest.mark.parametrize("mark", [pytest.param(0, marks=BROWSED)])
def test_a_visitor_chooses_classes_in_explore_and_mix(mark, sorted_folder, tmp_path, chromium):
    server = Server(sorted_folder, tmp_path / "runs")
    try:
        watched = Watched(chromium.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce"))
        page = watched.page
        page.goto(f"{server.address}?model=sorted&tab=explore&picture=7%3Dfruits&class=faces")
        text_of(page, "#explore-note").to_contain_text("7=fruits is in the middle", timeout=PATIENCE)
        page.locator("#centre-class .kind input").click()
        page.get_by_role("option", name="faces", exact=True).first.click()
        text_of(page, "#explore-note").to_contain_text("7=faces is in the middle", timeout=PATIENCE)
        assert "picture=7%3Dfaces" in page.url
        watched.tab("Mix")
        text_of(page, "#mix-note").to_contain_text("shapes are those", timeout=PATIENCE)
        page.locator("#columns-class .kind input").click()
        page.get_by_role("option", name="fruits", exact=True).first.click()
        text_of(page, "#mix-note").to_contain_text("(2=fruits, 6=fruits", timeout=PATIENCE)
        page.locator("#between-button").click()
        page.locator("#between-sheet button img").nth(2).click()
        watched.tab("Generate")
        text_of(page, "#sheet .caption-label >> nth=0").to_contain_text("0=faces", timeout=PATIENCE)
        choose_model(page, "plain")
        text_of(page, "#sheet .caption-label >> nth=0").to_contain_text(re.compile("^0$"), timeout=PATIENCE)
        watched.tab("Explore")
        text_of(page, "#explore-note").to_contain_text("7 is in the middle", timeout=PATIENCE)
        watched.check()
        page.close()
    finally:
        server.stop()
