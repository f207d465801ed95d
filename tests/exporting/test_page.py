"""The page in a real browser, served by nothing but a file server: its pictures are those of the program."""

import io
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from sase_gan.api.export import export_page
from sase_gan.drawing.latents import mix
from sase_gan.drawing.recipes import Recipe, draw_recipes, parse_names, walk_recipes
from sase_gan.drawing.sampling import draw_inputs, sample_images, truncated
from sase_gan.errors import WeightsError
from sase_gan.exporting import web_runtime
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import load_generator, load_network
from sase_gan.pixels import to_uint8
from sase_gan.snapshot import snapshot_digest
from tests.exporting.conftest import small_generator, small_pyramid
from tests.ui.browsing import BROWSED, PATIENCE, Watched
from tests.ui.conftest import CHROMIUM

pytestmark = [
    *BROWSED,
    pytest.mark.slow,
    # Four models are exported before the first test: a minute of a quiet core, more than ten of a busy one.
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

ROOT = Path(__file__).resolve().parents[2]
FACES = ROOT / "data" / "snapshots" / "emoji-faces"
SEEDS = [0, 1, 17, 2**31 - 1]
ROUNDED = 0.02
"""What weights in 16 bit may change of a value in [-1, 1], two levels and a half: see docs/exporting.md."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def runtime() -> Path:
    try:
        return web_runtime.runtime_folder()
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def faces() -> Generator:
    """The bundled model as training left it: its 16-bit weights plus the digits that were rounded away."""
    network = load_network(FACES).unfinished()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1 + (torch.rand_like(parameter) - 0.5) * 2**-10)
    return network


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, runtime: Path, faces: Generator) -> Path:
    """Pages of five models, side by side, as on any host."""
    place = tmp_path_factory.mktemp("pages")
    faces.save_pretrained(place / "models" / "faces")
    small_generator(colours="rgba", first_map=(4, 6)).save_pretrained(place / "models" / "clear")
    sorted_network = small_generator(classes=("cats", "dogs"), class_counts=(5, 7))
    with torch.no_grad():  # as far apart as trained classes are
        sorted_network.class_embedding.mul_(100)
    sorted_network.save_pretrained(place / "models" / "sorted")
    export_page(place / "models" / "sorted", place / "sorted", half=False)
    small_pyramid(finished_stages=1).save_pretrained(place / "models" / "one")
    export_page(place / "models" / "faces", place / "full", half=False)
    export_page(place / "models" / "faces", place / "half")
    export_page(place / "models" / "clear", place / "clear")
    export_page(place / "models" / "one", place / "one", half=False, unfinished=True)
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(folders: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folders)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Open a page of one of the folders; at the end it has asked for nothing from elsewhere and met no error."""
    watched = []

    def open_page(name: str, place: str = "", **options: Any) -> Any:
        page = browser.new_context(**options).new_page()
        watched.append(Watched(page))
        page.goto(f"{address}/{name}/{place}")
        page.wait_for_function("globalThis.saseGan")
        return page

    yield open_page
    for one in watched:
        one.check()
        one.page.context.close()


def floats(page: Any, requests: list[dict[str, Any]]) -> Tensor:
    program = "async (asked) => { const { values, shape } = await saseGan.model.floats(asked); "
    values, shape = page.evaluate(program + "return [Array.from(values), Array.from(shape)]; }", requests)
    return torch.tensor(values).view(shape)


def asked(seeds: list[int], truncation: float = 1.0) -> list[dict[str, Any]]:
    return [{"seed": seed, "noiseSeed": seed, "truncation": truncation} for seed in seeds]


@torch.no_grad()
def expected(network: Any, seeds: list[int], truncation: float = 1.0) -> Tensor:
    inputs = truncated(network, draw_inputs(network, seeds), truncation)
    more = {} if inputs.truncation is None else {"truncation": inputs.truncation}
    return network(inputs.z, inputs.noise, **more).big.clamp(-1, 1)


@pytest.mark.parametrize("truncation", [1.0, 0.6, 0.0])
def test_pictures_by_seed_are_those_of_pytorch(visit, faces, truncation):
    page = visit("full")
    for count in (1, 2, 4):
        found = floats(page, asked(SEEDS[:count], truncation))
        assert (found - expected(faces, SEEDS[:count], truncation)).abs().max() < 1e-4


def test_16_bits_change_little_and_halve_the_model(visit, faces, folders):
    page = visit("half")
    found, wanted = floats(page, asked(SEEDS)), expected(faces, SEEDS)
    assert 1e-5 < (found - wanted).abs().max() < ROUNDED
    assert (found - wanted).abs().mean() < 2e-3
    full, half = ((folders / name / "model" / "model.onnx").stat().st_size for name in ("full", "half"))
    assert half < 0.6 * full
    assert half < 12_000_000


def test_noise_as_the_page_offers_it(visit, faces):
    page = visit("full", "#noise=fixed")
    for noise in ("fixed", "off"):
        page.locator("#noise").select_option(noise)
        requests = page.evaluate("(seeds) => seeds.map((seed) => saseGan.state.request(seed))", SEEDS)
        drawn = to_uint8(floats(page, requests)).int()
        assert (drawn - sample_images(faces, SEEDS, noise=noise).int()).abs().max() <= 1


def levels(name: str, page: Any, selector: str) -> Tensor:
    """What a canvas shows, `[3, height, width]`."""
    program = """(canvas) => {
        const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [Array.from(data), height, width];
    }"""
    data, height, width = page.locator(selector).evaluate(program)
    return torch.tensor(data).view(height, width, 4).permute(2, 0, 1)[:3]


def test_a_page_of_seeds_turns_and_is_kept_in_the_address(visit, faces):
    page = visit("full")
    page.wait_for_function("document.querySelectorAll('#grid .tile:not(.waiting)').length === 24")
    for place in (0, 5):
        shown = levels("full", page, f"#grid .tile:nth-child({place + 1}) canvas")
        assert (shown - sample_images(faces, [place])[0].int()).abs().max() <= 1
    page.get_by_role("button", name="Next page").click()
    assert page.locator("#seed").input_value() == "24"
    page.locator("#truncation").fill("0.5")
    page.locator("#truncation").dispatch_event("change")
    assert page.url.endswith("#seed=24&truncation=0.5")
    page.wait_for_function("!document.querySelector('#grid .waiting')")
    shown = levels("full", page, "#grid .tile:nth-child(1) canvas")
    assert (shown - sample_images(faces, [24], truncation=0.5)[0].int()).abs().max() <= 1
    page.reload()
    page.wait_for_function("globalThis.saseGan")
    assert page.locator("#seed").input_value() == "24"
    page.locator("#seed").fill("-3")
    page.locator("#seed").press("Enter")
    assert page.locator("#seed").input_value() == "24"  # no seed: nothing happens


def test_a_picture_is_saved_with_its_recipe(visit, faces, folders):
    page = visit("full", "#seed=16&truncation=0.8")
    page.locator("#grid .tile:not(.waiting)").nth(1).click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_text("sase-gan sample SNAPSHOT --seeds 17 --truncation 0.8").is_visible()
    save = dialog.get_by_role("button", name="Save PNG")
    page.wait_for_function("!document.querySelector('#close-up .save').disabled")
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == "seed000017.png"
    with Image.open(download.value.path()) as image:
        text, mode = dict(image.text), image.mode
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(64, 64, 3).permute(2, 0, 1)
    assert mode == "RGB"
    assert (pixels.int() - sample_images(faces, [17], truncation=0.8)[0].int()).abs().max() <= 1
    assert text["seed"] == "17"
    assert text["truncation"] == "0.8"
    assert text["snapshot"] == snapshot_digest(folders / "models" / "faces")


def test_two_pictures_are_mixed_as_the_program_mixes(visit, faces):
    page = visit("full", "#view=mix&a=3&b=17")
    page.wait_for_function("document.querySelectorAll('#mixes .tile:not(.waiting)').length === 5")
    first, second = (draw_inputs(faces, [seed]) for seed in (3, 17))
    for place, size in enumerate((4, 8, 16, 32, 64)):
        shown = levels("full", page, f"#mixes .tile:nth-child({place + 1}) canvas")
        assert (shown - mix(faces, first, second, size)[0].int()).abs().max() <= 1
    assert not torch.equal(levels("full", page, "#mixes .tile:nth-child(1) canvas"), levels("full", page, "#first"))
    page.get_by_role("button", name="Swap").click()
    assert "a=17" in page.url


def test_a_walk_has_the_frames_of_the_program(visit, faces):
    page = visit("full", "#view=walk&stations=3,17&steps=3")
    page.wait_for_function("/^\\d+ \\/ 6$/.test(document.querySelector('#frames').textContent)")
    page.get_by_role("button", name="Pause").click()
    frames = walk_recipes(faces, [Recipe(3), Recipe(17)], steps=3, loop=True)
    for place, frame in enumerate(frames):
        page.locator("#frame").fill(str(place))
        assert (levels("full", page, "#screen") - frame.int()).abs().max() <= 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as film").click()
    assert Path(download.value.path()).stat().st_size > 1_000


def test_a_model_of_one_picture_and_one_with_transparency(visit, folders):
    one = load_network(folders / "models" / "one")
    page = visit("one")
    assert (floats(page, asked([0, 3], 0.7)) - expected(one, [0, 3], 0.7)).abs().max() < 1e-4
    assert page.locator("#tab-mix").is_hidden()
    clear = load_generator(folders / "models" / "clear")
    page = visit("clear")
    page.locator("#grid .tile:not(.waiting)").first.click()
    page.wait_for_function("!document.querySelector('#close-up .save').disabled")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as image:
        assert image.mode == "RGBA"
        assert image.size == (48, 32)
        alpha = torch.frombuffer(bytearray(image.getchannel("A").tobytes()), dtype=torch.uint8).view(32, 48)
    wanted = to_uint8(expected(clear, [0]))[0, 3]
    assert (alpha.int() - wanted.int()).abs().max() <= 7


def test_a_class_or_two_in_shares_are_chosen(visit, folders):
    network = load_generator(folders / "models" / "sorted")
    page = visit("sorted")
    page.wait_for_function("document.querySelectorAll('#grid .tile:not(.waiting)').length === 24")
    requests = page.evaluate("saseGan.state.request(3)")

    def shown(place: int) -> Tensor:
        page.wait_for_function("!document.querySelector('#grid .waiting')")
        return levels("sorted", page, f"#grid .tile:nth-child({place + 1}) canvas")

    def close(name: str) -> bool:
        return bool((shown(3) - draw_recipes(network, parse_names(name))[0].int()).abs().max() <= 1)

    assert "mixture" not in requests
    assert close("3")  # its own class
    page.locator("#kind").select_option("dogs")
    assert close("3=dogs")
    page.locator("#other-kind").select_option("cats")
    page.locator("#share").fill("30")
    page.locator("#share").dispatch_event("change")
    assert close("3=dogs.70=cats.30")
    assert not close("3=dogs")
    assert page.url.endswith("#kind=dogs&other=cats&share=30")
    page.locator("#grid .tile").nth(3).click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_text("sase-gan sample SNAPSHOT --seeds 3=dogs.70=cats.30").is_visible()
    page.wait_for_function("!document.querySelector('#close-up .save').disabled")
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "seed000003=dogs.70=cats.30.png"
    with Image.open(download.value.path()) as image:
        assert image.text["class"] == "70 % dogs, 30 % cats"
    page = visit("sorted", "#view=walk&stations=0,3,4&steps=3")
    page.wait_for_function("/^\\d+ \\/ 9$/.test(document.querySelector('#frames').textContent)")
    page.get_by_role("button", name="Pause").click()
    frames = walk_recipes(network, [Recipe(0), Recipe(3), Recipe(4)], steps=3, loop=True)
    for place, frame in enumerate(frames):
        page.locator("#frame").fill(str(place))
        assert (levels("sorted", page, "#screen") - frame.int()).abs().max() <= 1


def test_what_the_page_says_of_its_model(visit, folders):
    page = visit("half", "#view=about")
    told = page.locator("#about").inner_text()
    assert "SIL Open Font License 1.1" in told
    assert snapshot_digest(folders / "models" / "faces") in told
    assert re.search(r"equal to PyTorch within \d", told)
    assert "weights in 16 bit" in told
    assert "A model trained with sase_gan" in page.locator("#card").text_content()


def test_it_fits_a_phone_in_the_dark(visit):
    page = visit("full", viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    for view in ("Pictures", "Mix", "Walk", "About"):
        page.get_by_role("tab", name=view).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", ground))) < 150


def test_from_a_disk_it_says_what_to_do(browser, folders):
    page = browser.new_page()
    page.goto((folders / "full" / "index.html").as_uri())
    page.get_by_text("python -m http.server").wait_for(timeout=PATIENCE)
    page.close()
