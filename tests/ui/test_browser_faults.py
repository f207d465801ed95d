"""Faults that visitors met, in a real browser: names, long work, uploads, frames, passwords; one page for most.

Two more are part of the visit in `test_browser.py`: refused values, and the results of another model.
"""

import re
import shutil

import pytest

from tests.ui.browsing import BROWSED, PATIENCE, Watched, choose_model, put, text_of
from tests.ui.conftest import Server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = BROWSED

ODD = "*loud* _x_ me@home.org"
DAMAGED = "damaged"


@pytest.fixture(scope="module")
def visit(chromium, server):
    page = chromium.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    watched = Watched(page)
    page.goto(server.address)
    page.locator("#sheet img").first.wait_for()
    yield watched
    page.close()
    # Not before: where a list of models grows shorter while it is open, gradio's own script fails, unseen.
    shutil.rmtree(server.models / DAMAGED, ignore_errors=True)
    watched.check()


def test_names_are_read_as_they_are_written(visit, server):
    page = visit.page
    choose_model(page, "tiny")
    text_of(page, "#sheet-note").to_contain_text("of tiny", timeout=PATIENCE)
    page.locator("#sheet button img").nth(1).click()
    page.get_by_role("button", name="More like this").click()
    text_of(page, "#sheet-note").to_contain_text("Like", timeout=PATIENCE)
    page.locator("#sheet button img").nth(2).click()
    text_of(page, "#about").to_contain_text(re.compile(r"\d+~\d+\.\d+\.\d+"), timeout=PATIENCE)
    shutil.copytree(server.models / "plain", server.models / ODD)
    try:
        choose_model(page, ODD)
        text_of(page, "#sheet-note").to_contain_text(f"of {ODD}", timeout=PATIENCE)
        assert page.locator("#sheet-note em").count() == 0
        assert page.locator("a[href^=mailto]").count() == 0
    finally:
        shutil.rmtree(server.models / ODD)


def test_a_damaged_model_tells_no_folder_of_the_server(visit, server):
    page = visit.page
    damaged = server.models / DAMAGED
    shutil.copytree(server.models / "plain", damaged)
    (damaged / "model.safetensors").write_bytes((damaged / "model.safetensors").read_bytes()[:-100])
    choose_model(page, DAMAGED)
    text_of(page, "#model-facts .refused").to_contain_text("model.safetensors", timeout=PATIENCE)
    assert str(server.models) not in page.content()
    choose_model(page, "tiny")
    text_of(page, "#model-facts").to_contain_text("64 × 64 px", timeout=PATIENCE)


def test_large_pictures_are_foretold_refused_and_cancelled(visit):
    page = visit.page
    visit.tab("One picture")
    choose_model(page, "single", "#picture-model")
    text_of(page, "#picture-about").to_contain_text("28 × 28 px", timeout=PATIENCE)
    width, height = (page.get_by_label(side, exact=True).locator("visible=true") for side in ("Width", "Height"))
    seeds = page.get_by_label("Seeds", exact=True).locator("visible=true")
    width.fill("1024")
    height.fill("1024")
    seeds.fill("0-7")
    text_of(page, "#picture-cost").to_contain_text("8 pictures of 1024 × 1024 px would take", timeout=PATIENCE)
    page.locator("#picture-draw").click()
    # Beside the fields, before it waits in any queue.
    refusal = page.get_by_text(re.compile("would take many minutes")).locator("visible=true")
    playwright.expect(refusal).to_have_count(2, timeout=PATIENCE)
    assert page.locator("#picture-sheet img").count() == 0
    # A busy machine may lack the memory of larger ones.
    width.fill("512")
    height.fill("512")
    seeds.fill("0-3")
    text_of(page, "#picture-cost").to_contain_text(re.compile(r"Takes about \d+ (s|min) .+ GB"), timeout=PATIENCE)
    page.locator("#picture-draw").click()
    page.locator("#picture-cancel").click()
    text_of(page, "#picture-sizes-note").to_contain_text("Cancelled.", timeout=PATIENCE)


def test_one_broken_picture_among_ten_is_named_and_the_next_check_replaces_the_last(visit, few_pictures, tmp_path):
    page = visit.page
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG and no more")
    visit.tab("Train")
    page.get_by_label("My pictures").click()
    put(page, [*few_pictures, broken], "9 pictures")
    text_of(page, "#train-checked").to_contain_text("8 pictures", timeout=PATIENCE)
    text_of(page, "#train-checked").to_contain_text("broken.png")
    page.locator("#train-preview img").wait_for()
    put(page, [broken], "1 picture draws|One picture draws|^$")
    text_of(page, "#train-checked").not_to_contain_text("8 pictures", timeout=PATIENCE)
    text_of(page, "#train-checked").to_contain_text("broken.png cannot be read", timeout=PATIENCE)
    playwright.expect(page.locator("#train-preview img")).to_have_count(0, timeout=PATIENCE)


def test_no_other_site_shows_the_studio_in_a_frame(chromium, server):
    page = chromium.new_page()
    page.set_content(f"<h1>Another site</h1><iframe src='{server.address}'></iframe>")
    frame = page.locator("iframe").element_handle().content_frame()
    frame.wait_for_url("chrome-error://**", timeout=PATIENCE)
    page.close()


@pytest.mark.slow
def test_a_guesser_of_passwords_is_told_to_wait(chromium, models_folder, tmp_path):
    server = Server(models_folder, tmp_path / "runs", "--auth", "me:right")
    try:
        page = chromium.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server.address)
        answers = []
        for number in range(7):
            page.locator("input").nth(0).fill("me")
            page.locator("input").nth(1).fill(f"wrong {number}")
            with page.expect_response(lambda found: "/login" in found.url) as answer:
                page.get_by_role("button", name=re.compile("login", re.IGNORECASE)).click()
            answers.append(answer.value.status)
        assert answers == [400] * 5 + [429] * 2
        page.close()
    finally:
        server.stop()
