"""Every tab in a real browser, against the real server: clicks, results, no request beyond this machine, no error."""

import re

import pytest

from sase_gan.pixels import read_png_text
from tests.processes import until
from tests.ui.browsing import BROWSED, PATIENCE, Watched, choose_model, put, text_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = BROWSED


@pytest.fixture(scope="module")
def desktop(chromium, server):
    page = chromium.new_page(viewport={"width": 1440, "height": 900}, accept_downloads=True, reduced_motion="reduce")
    watched = Watched(page)
    page.goto(server.address)
    # The bundled model is the first of the list; the tests use the tiny one.
    page.locator("#sheet img").first.wait_for()
    page.locator("#model input").click()
    page.get_by_role("option", name="tiny", exact=True).click()
    playwright.expect(page.locator("#sheet-note")).to_contain_text("of tiny", timeout=PATIENCE)
    # A drawing that is under way would overtake what a test draws next.
    playwright.expect(page.locator("#sheet-note")).not_to_contain_text(
        re.compile("processing|steps|queue"), timeout=PATIENCE
    )
    yield watched
    page.close()


@pytest.fixture(autouse=True)
def nothing_went_wrong(request):
    yield
    if "desktop" in request.fixturenames:
        request.getfixturevalue("desktop").check()


def test_generate(desktop, tmp_path):
    page = desktop.page
    page.get_by_label("Seed", exact=True).first.fill("30")
    page.locator("#draw").click()
    text_of(page, "#sheet-note").to_contain_text("Seeds 30 to 47", timeout=PATIENCE)
    assert page.locator("#sheet button img").count() == 18
    page.locator("#sheet button img").nth(4).click()
    text_of(page, "#about").to_contain_text("Seed 34", timeout=PATIENCE)
    text_of(page, "#near-note").to_contain_text("Among the 8 training pictures", timeout=PATIENCE)
    assert page.locator("#near figure").count() >= 2
    with page.expect_download() as download:
        page.locator("#large").get_by_label("Download").click()
    download.value.save_as(tmp_path / "picture.png")
    assert read_png_text(tmp_path / "picture.png")["seed"] == "34"
    page.get_by_role("button", name="More like this").click()
    text_of(page, "#sheet-note").to_contain_text("Like 34", timeout=PATIENCE)


def test_pages_favourites_and_the_address(desktop):
    page = desktop.page
    page.get_by_label("Seed", exact=True).first.fill("30")
    page.locator("#page-forth").click()
    text_of(page, "#sheet-note").to_contain_text("Seeds 48 to 65", timeout=PATIENCE)
    playwright.expect(page).to_have_url(re.compile(r"\?.*seed=48"))
    page.locator("#sheet button img").nth(2).click()
    text_of(page, "#about").to_contain_text("Seed 50", timeout=PATIENCE)
    page.locator("#keep").click()
    text_of(page, "#favourites-note").to_contain_text("1 kept", timeout=PATIENCE)
    page.get_by_role("button", name="Contact sheet and zip").click()
    page.locator("#favourites-files a").first.wait_for()
    page.locator("#surprise").click()
    text_of(page, "#sheet-note").not_to_contain_text("Seeds 48", timeout=PATIENCE)
    page.locator("#kept button img").first.click()
    text_of(page, "#about").to_contain_text("Seed 50", timeout=PATIENCE)


def test_the_chosen_picture_goes_along(desktop):
    page = desktop.page
    page.get_by_role("button", name="Walk", exact=True).click()
    for button, place, words in (
        ("Map", "#explore-note", "50 is in the middle"),
        ("Mix: look", "#mix-note", "(50, 2, 6"),
        ("Layers", "#layer-verdict", "Pixels changed by"),
    ):
        page.get_by_role("button", name=button, exact=True).click()
        text_of(page, place).to_contain_text(words, timeout=PATIENCE)
        assert f"tab={button.split(':')[0].lower().replace('map', 'explore')}" in page.url.split("?")[1].split("&")
        desktop.tab("Generate")
    assert page.locator("#layer-picture input, #layer-picture textarea").first.input_value() == "50"
    desktop.tab("Explore")
    page.locator("#centre textarea, #centre input").first.fill("0")
    desktop.tab("Walk")
    assert page.locator("#stations textarea, #stations input").first.input_value() == "0, 5, 12, 50"
    desktop.tab("Neighbours")
    desktop.tab("Generate")


def test_the_keyboard_reaches_the_tabs_and_draws(desktop):
    page = desktop.page
    seed = page.get_by_label("Seed", exact=True).first
    seed.fill("90")
    seed.press("Enter")
    text_of(page, "#sheet-note").to_contain_text("Seeds 90 to 107", timeout=PATIENCE)
    first = page.get_by_role("tab", name="Generate", exact=True).first
    first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    text_of(page, "#map").to_be_visible(timeout=PATIENCE)


def test_arrow_keys_change_tabs_and_move_sliders(desktop):
    page = desktop.page
    page.get_by_role("tab", name="Explore", exact=True).first.focus()
    page.keyboard.press("ArrowRight")
    layers = page.get_by_role("tab", name="Layers", exact=True).first
    playwright.expect(layers).to_have_attribute("aria-selected", "true")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator("#layer-after img").wait_for()
    text_of(page, "#layer-verdict").to_contain_text("Pixels changed by", timeout=PATIENCE)  # one mask is off
    page.get_by_role("button", name="All at 1").press("Enter")
    text_of(page, "#layer-verdict").to_contain_text("Nothing is changed yet", timeout=PATIENCE)
    layers.focus()
    # From tab to slider by Tab alone, and the picture follows its keys.
    slider = page.locator("#mask-1 input[type=range]")
    for _ in range(40):
        page.keyboard.press("Tab")
        if slider.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("End")
    text_of(page, "#layer-verdict").to_contain_text("Pixels changed by", timeout=PATIENCE)
    page.keyboard.press("Home")
    page.get_by_role("button", name="All at 1").press("Enter")
    text_of(page, "#layer-verdict").to_contain_text("Nothing is changed yet", timeout=PATIENCE)
    layers.press("Home")
    playwright.expect(page.get_by_role("tab", name="Generate", exact=True).first).to_be_focused()


def test_explore(desktop):
    page = desktop.page
    desktop.tab("Explore")
    page.locator("#map img").nth(24).wait_for()
    page.locator("#map button img").nth(3).click()
    text_of(page, "#explore-note").to_contain_text(re.compile(r"0@60\.0\.3 is in the middle"), timeout=PATIENCE)
    assert page.locator("a[href^=mailto]").count() == 0
    text_of(page, "#trail").to_contain_text("0 › @60.0.3", timeout=PATIENCE)
    page.locator("#trail-back").click()
    text_of(page, "#explore-note").not_to_contain_text("@60.0.3", timeout=PATIENCE)
    desktop.tab("Live")
    slider = page.locator(".live-directions input").first
    slider.focus()
    slider.press("ArrowRight")
    text_of(page, ".live-name").to_have_text("0+f0.10", timeout=PATIENCE)
    page.locator(".live-play").click()
    drawn = "Number(document.querySelector('.live-picture').dataset.count) > 6"
    page.wait_for_function(drawn, timeout=PATIENCE)
    page.locator(".live-play").click()
    page.locator(".live-start").fill("-4")
    page.locator(".live-start").press("Tab")
    text_of(page, ".live-said").to_contain_text("'-4' is not understood", timeout=PATIENCE)
    page.locator(".live-start").fill("0")
    page.locator(".live-start").press("Tab")
    text_of(page, ".live-said").to_be_hidden(timeout=PATIENCE)
    desktop.tab("Directions")
    page.locator("#strips figure").nth(29).wait_for()
    desktop.tab("Walk")
    page.locator("#stations textarea, #stations input").first.fill("1, 2")
    page.locator("#film-seconds input").fill("0.5")
    page.locator("#film-preview").click()
    text_of(page, "#film-note").to_contain_text("Preview: 10 frames in 0.5 s", timeout=PATIENCE)
    page.locator("#film-start").click()
    text_of(page, "#film-note").to_contain_text("Film: 10 frames in 0.5 s, 384 × 384 px", timeout=PATIENCE)
    page.locator("#film video").wait_for()


def test_layers(desktop):
    page = desktop.page
    desktop.tab("Layers")
    page.locator("#masks figure").first.wait_for()
    page.locator("#layer-after img").wait_for()
    page.get_by_role("button", name="All off").click()
    text_of(page, "#layer-verdict").to_contain_text("grey levels on average", timeout=PATIENCE)
    assert page.locator("#mixtures td").count() > 6
    page.get_by_role("button", name="All at 1").click()
    text_of(page, "#layer-verdict").to_contain_text("Nothing is changed yet", timeout=PATIENCE)
    page.get_by_role("button", name="Styles of another picture").click()
    page.get_by_label("Where I paint").click()
    paint(page, "#painting")
    press_until(page, page.get_by_role("button", name="Take the styles"), "#layer-verdict :text('Pixels changed by')")


def paint(page, editor: str) -> None:
    """Draw a stroke, again until it is taken: an editor takes none for a while after its canvas is there."""
    canvas = page.locator(f"{editor} canvas").first
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()

    def is_taken() -> bool:
        box = canvas.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x - 40, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 10, steps=4)
        page.mouse.up()
        page.wait_for_timeout(250)
        return page.locator(editor).get_by_label("Undo", exact=True).first.is_enabled()

    until(is_taken)


def press_until(page, button, selector: str) -> None:
    """Press a button, again until what it brings is there: the page learns of a stroke or a list a little later."""

    def is_there() -> bool:
        button.click()
        page.wait_for_timeout(1000)
        return page.locator(selector).count() > 0

    until(is_there)


def test_a_refused_value_leaves_the_work_in_sight(desktop):
    page = desktop.page
    desktop.tab("Generate")
    page.get_by_label("Seed", exact=True).first.fill("-5")
    page.locator("#draw").click()
    text_of(page, "#sheet-note .refused").to_contain_text("The seed is -5; it must be between 0", timeout=PATIENCE)
    assert page.locator("#sheet button img").count() == 18
    assert page.get_by_label("Seed", exact=True).first.input_value() == "-5"
    page.get_by_label("Seed", exact=True).first.fill("90")
    page.locator("#draw").click()
    text_of(page, "#sheet-note").to_contain_text("Seeds 90 to 107", timeout=PATIENCE)


def test_another_model_leaves_nothing_of_the_former(desktop):
    page = desktop.page
    desktop.tab("Explore")
    desktop.tab("Neighbours")
    page.locator("#map img").nth(24).wait_for()
    before = page.locator("#map img").nth(3).get_attribute("src")
    choose_model(page, "plain")
    playwright.expect(page.locator("#map img").nth(3)).not_to_have_attribute("src", before, timeout=PATIENCE)
    playwright.expect(page.locator("#layer-after img")).to_have_count(0, timeout=PATIENCE)
    playwright.expect(page.locator("#film video")).to_have_count(0)
    choose_model(page, "tiny")
    desktop.tab("Generate")
    text_of(page, "#sheet-note").to_contain_text("of tiny", timeout=PATIENCE)


def test_mix(desktop):
    page = desktop.page
    desktop.tab("Mix")
    page.locator("#mix-table img").wait_for()
    text_of(page, "#mix-note").to_contain_text("the appearance is that of the picture above", timeout=PATIENCE)


def test_one_picture(desktop):
    page = desktop.page
    desktop.tab("One picture")
    text_of(page, "#picture-about").to_contain_text("128 × 86 px, instant", timeout=PATIENCE)
    choose_model(page, "single", "#picture-model")
    text_of(page, "#picture-about").to_contain_text("28 × 28 px in 3 stages", timeout=PATIENCE)
    page.locator("#picture-draw").click()
    page.locator("#picture-sheet img").nth(3).wait_for()
    # Enlarged, it lies on a checkerboard that is not wider than the picture: seen where this has transparency.
    page.locator("#picture-sheet img").first.click()
    large = page.locator("#picture-sheet .media-button img")
    large.wait_for()
    assert "conic-gradient" in large.evaluate("image => getComputedStyle(image).backgroundImage")
    box = large.bounding_box()
    assert box["width"] == pytest.approx(box["height"], rel=0.02)
    assert box["width"] > 200
    page.keyboard.press("Escape")
    desktop.tab("Edit")
    paint(page, "#picture-canvas")
    press_until(page, page.locator("#picture-edit"), "#picture-result img")
    page.locator("#picture-before img").wait_for()
    desktop.tab("Animate")
    page.locator("#animation-seconds input").fill("0.5")
    page.locator("#picture-animate-start").click()
    text_of(page, "#picture-animation-note").to_contain_text("5 frames in 0.5 s", timeout=PATIENCE)
    page.locator("#picture-film video").wait_for()


def test_train_and_find_the_run_in_the_list(desktop, server, few_pictures):
    page = desktop.page
    desktop.tab("Train")
    page.get_by_label("My pictures").click()
    page.locator("#train-files input[type=file]").set_input_files([str(path) for path in few_pictures])
    page.locator("#train-files .file-preview, #train-files table").first.wait_for()
    text_of(page, "#train-checked").to_contain_text("8 pictures", timeout=PATIENCE)
    # So few are drawn from at once where nothing else is asked for.
    text_of(page, "#train-advice").to_contain_text("8 pictures draw best at once", timeout=PATIENCE)
    page.get_by_label("Train a network").click()
    page.locator("#train-name input, #train-name textarea").first.fill("by browser")
    page.locator("#train-more > button, #train-more .label-wrap").first.click()
    page.locator("#train-preset input").click()
    page.get_by_role("option", name="A try-out of seconds").click()
    # A thousand million: only the stop can end it.
    page.get_by_label("Thousand images at most").fill("1000000")
    page.get_by_label("Minutes").locator("visible=true").first.fill("60")
    page.locator("#train-start").click()
    text_of(page, "#train-note").to_contain_text("by-browser-001 has started", timeout=PATIENCE)
    text_of(page, "#train-status").to_contain_text("by-browser-001 is being trained", timeout=PATIENCE)
    # It survives a reload, after which the same tab is open.
    page.reload()
    text_of(page, "#train-status").to_contain_text("by-browser-001 is being trained", timeout=PATIENCE)
    # Its images alone would not fill a thousandth of it in an hour: what fills the bar are the minutes that end it.
    until(lambda: page.wait_for_timeout(500) or bar_share(page) > 0)
    page.get_by_role("button", name="Stop and save").locator("visible=true").click()
    text_of(page, "#train-status").to_contain_text("by-browser-001 was stopped after", timeout=PATIENCE)
    page.locator("#train-samples img").wait_for()
    page.locator("#train-curves svg").first.wait_for()
    page.locator("#model input").click()
    page.get_by_role("option", name="by-browser-001", exact=True).click()
    desktop.tab("Generate")
    text_of(page, "#sheet-note").to_contain_text("of by-browser-001", timeout=PATIENCE)
    assert (server.runs / "pictures" / "by-browser-001").is_dir()


def bar_share(page) -> float:
    """How much of the training's bar is filled, in per cent."""
    style = page.locator("#train-status .progress i").first.get_attribute("style")
    return float(re.search(r"width:\s*([\d.]+)%", style)[1])


def test_evaluate(desktop):
    """The figures of the run that was trained above, as a report; measuring anew is tested through the client."""
    page = desktop.page
    desktop.tab("Evaluate")
    press_until(page, page.get_by_role("button", name="Show the report"), "iframe.report")
    frame = page.frame_locator("iframe.report")
    playwright.expect(frame.locator("h1")).to_be_visible(timeout=PATIENCE)
    assert page.locator("iframe.report").get_attribute("sandbox") == ""
    page.get_by_role("button", name="Compare", exact=True).click()
    playwright.expect(page.get_by_text("Choose two to 4 different reports")).to_be_visible(timeout=PATIENCE)


def test_an_instant_model_draws_tells_its_sources_and_is_bound(desktop):
    page = desktop.page
    choose_model(page, "instant")
    text_of(page, "#model-facts").to_contain_text("contains its training pictures", timeout=PATIENCE)
    desktop.tab("Generate")
    text_of(page, "#sheet-note").to_contain_text("of instant", timeout=PATIENCE)
    page.locator("#sheet button img").nth(1).click()
    press_until(page, page.locator("#sources-map img"), "#sources-pointed figure")
    text_of(page, "#sources-pointed").to_contain_text(re.compile("In .+-face"))
    desktop.tab("Layers")
    sentence = page.get_by_text("instant is an instant model: it has no layers,")
    playwright.expect(sentence).to_be_visible(timeout=PATIENCE)
    desktop.tab("Recombine")
    page.locator("#recombine-pictures button img").nth(7).wait_for()
    page.locator("#recombine-pictures button img").nth(3).click()
    page.locator("#recombine-picked figure").wait_for()
    page.locator("#recombine-draw").click()
    text_of(page, "#recombine-note").to_contain_text("From 1 of 8 training pictures", timeout=PATIENCE)
    page.locator("#recombine-sheet button img").nth(7).wait_for()
    desktop.tab("Regions")
    paint(page, "#recombine-canvas")
    press_until(page, page.locator("#recombine-regions"), "#recombine-note :text('1 region bound')")
    page.locator("#recombine-sheet button img").first.click()
    page.locator("#recombine-sources-map img").wait_for()
    # What is refused stands beside its field, and the work stays.
    page.locator("#recombine-seed input").fill("-5")
    refused = "#recombine-seed :text('Seed is -5; it must be between 0')"
    press_until(page, page.locator("#recombine-regions"), refused)  # one press more may still be under way
    assert page.locator("#recombine-sheet button img").count() == 8


def test_ones_own_photograph_is_varied_where_it_was_painted(desktop, few_pictures):
    page = desktop.page
    page.locator("#recombine-seed input").fill("0")
    desktop.tab("My photograph")
    page.locator("#recombine-upload input[type=file]").set_input_files(str(few_pictures[0]))
    page.locator("#recombine-upload img").wait_for()
    press_until(page, page.locator("#recombine-photograph"), "#recombine-note :text('Variations with strength 0.5')")
    page.get_by_label("Only where I paint").click()
    paint(page, "#recombine-inpaint")
    press_until(page, page.locator("#recombine-photograph"), "#recombine-note :text('Only the painted part')")


def test_a_handful_of_pictures_draws_at_once_without_what_cannot_be_read(desktop, few_pictures, tmp_path):
    page = desktop.page
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG and no more")
    desktop.tab("Train")
    page.get_by_label("My pictures").click()
    put(page, [*few_pictures[:5], broken], "6 pictures draw best at once")
    page.locator("#train-name input, #train-name textarea").first.fill("handful")
    text_of(page, "#train-start").to_contain_text("Leave out 1 unreadable file and start", timeout=PATIENCE)
    page.locator("#train-start").click()
    text_of(page, "#train-status").to_contain_text("handful-001 is made, without training", timeout=PATIENCE)
    page.locator("#train-samples img").wait_for()
    desktop.tab("Generate")
    text_of(page, "#sheet-note").to_contain_text("of handful-001", timeout=PATIENCE)
    text_of(page, "#model-facts").to_contain_text("made of 5 pictures", timeout=PATIENCE)
    page.locator("#sheet button img").nth(7).wait_for()


def test_recognise(desktop, few_pictures):
    page = desktop.page
    desktop.tab("Recognise")
    choose_model(page, "shapes-detector", "#recogniser")
    text_of(page, "#recognise-about").to_contain_text("Finds disc, square, triangle", timeout=PATIENCE)
    page.locator("#recognise-thumbnails button").nth(1).click()
    text_of(page, "#recognise-words").to_contain_text("object", timeout=PATIENCE)
    choose_model(page, "classes", "#recogniser")
    page.get_by_label("My picture", exact=True).locator("visible=true").click()
    page.locator("#recognise-upload input[type=file]").set_input_files(str(few_pictures[0]))
    page.locator("#recognise-upload img").wait_for()
    page.locator("#recognise-start").click()
    page.locator("#recognise-words .bar").first.wait_for()
    text_of(page, "#recognise-words").to_contain_text("cat")
    assert page.locator("#recognise-attention figure").count() == 8


def test_a_phone_needs_no_sideways_scrolling(chromium, server):
    page = chromium.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    watched = Watched(page)
    page.goto(server.address)
    page.locator("#sheet img").first.wait_for()
    for name in ("Explore", "Layers", "Mix", "Recombine", "One picture", "Train", "Evaluate", "Recognise"):
        # All tabs are in sight, in two rows.
        page.get_by_role("tab", name=name, exact=True).locator("visible=true").first.click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    watched.check()
    page.close()
