"""What a visitor brings along, in a real browser: a folder of pictures, a photograph; and transparency taken home."""

import re
import shutil

import pytest
from PIL import Image

from sase_gan.networks.generator import GeneratorConfig
from tests.awake import awake
from tests.test_music import clicks
from tests.ui.browsing import BROWSED, PATIENCE, Watched, choose_model, text_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [*BROWSED, pytest.mark.slow]

CLEAR = "clear"


@pytest.fixture(scope="module")
def visit(chromium, server):
    page = chromium.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True, reduced_motion="reduce")
    watched = Watched(page)
    page.goto(f"{server.address}?model=tiny")
    page.locator("#sheet img").first.wait_for()
    yield watched
    page.close()
    watched.check()


def field(page, place: str):
    return page.locator(f"{place} input, {place} textarea").first


def test_a_folder_is_looked_at_at_once_and_names_the_run(visit, few_pictures, tmp_path):
    page, folder = visit.page, tmp_path / "my cats"
    shutil.copytree(few_pictures[0].parent, folder)
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    (folder / "notes.txt").write_text("not a picture")
    visit.tab("Train")
    with page.expect_file_chooser() as chooser:
        page.locator("#train-folder").click()
    chooser.value.set_files(str(folder))
    text_of(page, "#train-checked").to_contain_text("8 pictures", timeout=PATIENCE)
    text_of(page, "#train-checked").to_contain_text("broken.png cannot be read")
    text_of(page, "#train-start").to_contain_text("Leave out 1 unreadable file and start", timeout=PATIENCE)
    playwright.expect(field(page, "#train-name")).to_have_value("my cats", timeout=PATIENCE)
    page.locator("#train-preview img").wait_for()


def test_a_bundled_set_is_a_click_away_and_may_start_from_another_model(visit):
    page = visit.page
    page.locator("#train-thumbnails button").first.click()
    text_of(page, "#train-checked").to_contain_text("96 pictures", timeout=PATIENCE)
    playwright.expect(page.locator("#train-start")).to_have_text("Start", timeout=PATIENCE)
    playwright.expect(field(page, "#train-name")).to_have_value("emoji-faces", timeout=PATIENCE)
    page.locator("#train-from .label-wrap").click()
    choose_model(page, "plain", "#start-from")
    page.get_by_label("Train a network").click()
    field(page, "#start-freeze").fill("2")
    page.locator("#train-start").click()
    text_of(page, "#train-note .refused").to_contain_text("comes without its discriminator", timeout=PATIENCE)
    field(page, "#start-freeze").fill("99")
    page.locator("#train-start").click()
    text_of(page, "#start-freeze").to_contain_text("Frozen layers is 99; it must be between 0 and 16", timeout=PATIENCE)


def test_a_photograph_is_brought_in_and_taken_to_the_map(visit, few_pictures):
    page = visit.page
    visit.tab("Explore")
    visit.tab("My photograph")
    page.locator("#photograph-start").click()
    text_of(page, "#photograph-note .refused").to_contain_text("Upload a photograph first", timeout=PATIENCE)
    page.locator("#photograph-upload input[type=file]").set_input_files(str(few_pictures[0]))
    page.locator("#photograph-upload img").wait_for()
    page.locator("#photograph-start").click()
    page.locator("#photograph-after img").wait_for()
    text_of(page, "#photograph-note").to_contain_text("This model")
    name = field(page, "#photograph-name").input_value()
    assert re.fullmatch(r"photo-[0-9a-f]{10}\.recipe", name)
    page.locator("#photograph-result").get_by_role("button", name="Map", exact=True).click()
    text_of(page, "#explore-note").to_contain_text(f"{name} is in the middle", timeout=PATIENCE)


def test_a_film_is_cancelled(visit):
    page = visit.page
    visit.tab("Walk")
    field(page, "#film-seconds").fill("60")
    page.locator("#film-start").click()
    page.locator("#film-cancel").click()
    text_of(page, "#film-note").to_contain_text("Cancelled.", timeout=PATIENCE)
    # And one that is asked for at once afterwards is made, with music.
    field(page, "#film-seconds").fill("1")
    page.locator("#film-start").click()
    text_of(page, "#film-note").to_contain_text("Film: 20 frames in 1.0 s", timeout=PATIENCE)


def test_a_film_has_the_music_that_was_uploaded(visit, tmp_path):
    page = visit.page
    page.locator("#film-music-part").get_by_text("Music").first.click()
    music = clicks(tmp_path / "clicks.wav", [0.5, 1.0], 1.5)
    page.locator("#film-music input[type=file]").set_input_files(str(music))
    playwright.expect(field(page, "#film-seconds")).to_have_value("1.5", timeout=PATIENCE)
    page.locator("#film-preview").click()
    text_of(page, "#film-note").to_contain_text("Preview, the beginning: 15 frames in 1.5 s", timeout=PATIENCE)
    sounds = "(film) => film.duration > 1.3 && (film.webkitAudioDecodedByteCount > 0 || film.mozHasAudio)"
    page.locator("#film video").evaluate("(film) => { film.muted = true; return film.play(); }")
    page.wait_for_function(f"({sounds})(document.querySelector('#film video'))", timeout=PATIENCE)


def test_a_transparent_picture_is_taken_home_as_one(visit, server, tmp_path):
    page = visit.page
    small = GeneratorConfig(image_size=64, width=8, latent_size=16, spectral_norm=False, colours="rgba")
    awake(small).save_pretrained(server.models / CLEAR)
    try:
        visit.tab("Generate")
        choose_model(page, CLEAR)
        text_of(page, "#sheet-note").to_contain_text(f"of {CLEAR}", timeout=PATIENCE)
        page.locator("#sheet button img").nth(2).click()
        text_of(page, "#about").to_contain_text("Seed 2", timeout=PATIENCE)
        with page.expect_download() as download:
            page.locator("#large").get_by_label("Download").click()
        download.value.save_as(tmp_path / "picture.png")
        with Image.open(tmp_path / "picture.png") as image:
            assert image.mode == "RGBA"
            assert image.info["seed"] == "2"
        choose_model(page, "tiny")
        text_of(page, "#sheet-note").to_contain_text("of tiny", timeout=PATIENCE)
    finally:
        shutil.rmtree(server.models / CLEAR)
