"""The running studio, called over the network: every public endpoint, and a client that means harm."""

import io
import json
import re
import threading
import zipfile
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from sase_gan.pixels import read_png_text
from tests.processes import PATIENCE, until
from tests.ui.test_uploads import bomb

# A busy machine may take its time.
get, post = partial(httpx.get, timeout=PATIENCE), partial(httpx.post, timeout=PATIENCE)


def visitor_of(server) -> Client:
    # Where pytest clears away, not where everything of this machine lies.
    folder = server.runs.parent / "downloads"
    folder.mkdir(exist_ok=True)
    return Client(server.address, verbose=False, download_files=folder, httpx_kwargs={"timeout": PATIENCE})


@pytest.fixture(scope="module")
def client(server):
    made = visitor_of(server)
    yield made
    made.close()


def file_of(shown) -> Path:
    """A picture of an answer, be it alone or in a gallery."""
    return Path(shown[0]["image"] if isinstance(shown, list) else shown)


@pytest.fixture(scope="module")
def painting(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("painting")
    layer, composite = np.zeros((56, 56, 4), np.uint8), np.full((56, 56, 4), 255, np.uint8)
    layer[:20, :20] = 255
    for name, pixels in (("layer", layer), ("composite", composite)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    composed = handle_file(str(folder / "composite.png"))
    return {"background": composed, "layers": [handle_file(str(folder / "layer.png"))], "composite": composed}


def test_every_public_endpoint_is_known_and_described(client):
    described = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(described) == {
        "/sample", "/neighbours", "/move", "/walk", "/bring_photograph", "/layers", "/edit_layers", "/mix", "/between",
        "/train_picture",
        "/draw_picture", "/edit_picture", "/paint_picture", "/animate_picture", "/analogy_picture", "/check_pictures",
        "/start_training",
        "/resume_training", "/stop_training", "/training_status", "/evaluate", "/report", "/compare", "/recognise",
    }  # fmt: skip
    for name, endpoint in described.items():
        names = [parameter["parameter_name"] for parameter in endpoint["parameters"]]
        assert not [n for n in names if n.startswith(("param_", "progress"))], (name, names)


def test_the_schema_says_what_every_endpoint_does_and_names_its_arguments(server):
    described = get(f"{server.address}/gradio_api/info").json()["named_endpoints"]
    for name, endpoint in described.items():
        labels = [parameter["label"] for parameter in endpoint["parameters"]]
        assert len(endpoint["description"]) > 10, name
        assert not [label for label in labels if not label or re.fullmatch(r"(value|parameter)_\d+", label)], (
            name,
            labels,
        )


def test_drawing_and_exploring(client, temporary):
    gallery, used, note = client.predict("tiny", 7, 2, 1.0, "random", api_name="/sample")
    assert used == 7
    assert [item["caption"] for item in gallery] == ["7", "8"]
    assert "Seeds 7 to 8" in note
    text = read_png_text(file_of(gallery))
    assert text["seed"] == "7"
    assert len(text["snapshot"]) == 64
    assert len(client.predict("tiny", "7", 0.6, 0, api_name="/neighbours")[0]) == 25
    before, after, name = client.predict("tiny", "7", "factorisation", 3, 0, 0, 0, 0, 0, api_name="/move")
    assert name == "7+f0.300"
    assert Path(before).read_bytes() != Path(after).read_bytes()
    film, animation, _ = client.predict("tiny", "1, 2", 0.5, 128, True, api_name="/walk")
    assert Path(film if isinstance(film, str) else film["video"]).stat().st_size > 1000
    assert Path(animation).suffix == ".gif"
    table, _ = client.predict("tiny", "0", "1, 2", 8, api_name="/mix")
    assert file_of(table).stat().st_size > 1000


def test_layers(client, painting):
    assert all("<" in part for part in client.predict("tiny", "5", api_name="/layers"))
    marks = [1.0] * 8
    _, after, _, words = client.predict("tiny", "5", "", 9, "region", [1], painting, *marks, api_name="/edit_layers")
    assert "grey levels" in words
    assert "edit" in read_png_text(file_of(after))


def test_one_picture(client, painting):
    gallery, words = client.predict("single", 40, 24, "0-1", 0, False, "new", api_name="/draw_picture")
    assert words == "2 pictures of 40 × 24 px."
    with Image.open(file_of(gallery)) as image:
        assert image.size == (40, 24)
    result, _, _ = client.predict("single", painting, "edit", 1, 0, api_name="/edit_picture")
    assert file_of(result).stat().st_size > 100
    gallery, _ = client.predict("single", painting, 1, "0", api_name="/paint_picture")
    assert len(gallery) == 1
    _, _, words = client.predict("single", 0.5, 128, 0.9, 0.1, 2, 0, api_name="/animate_picture")
    assert words == "5 frames in 0.5 s, 128 × 128 px."


def test_recognising(client, few_pictures):
    picture = handle_file(str(few_pictures[0]))
    _, words, attention, _ = client.predict("classes", "upload", picture, 0.5, api_name="/recognise")
    assert "cat" in words
    assert "<figure>" in attention


def test_training_starts_once_and_stops(client, server, few_pictures, tmp_path):
    files = [handle_file(str(path)) for path in few_pictures]
    words, _ = client.predict("upload", files, "crop", api_name="/check_pictures")
    assert "### 8 pictures" in words
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in few_pictures:
            archive.write(path, path.name)
    packed = [handle_file(str(tmp_path / "set.zip"))]
    # A thousand million images: only the stop can end it.
    words = client.predict(
        "upload",
        packed,
        "by client",
        10080,
        32,
        "crop",
        1e6,
        0,
        "smoke/low_shot",
        "network",
        api_name="/start_training",
    )
    assert "by-client-001" in words

    def said(words: str) -> bool:
        state = client.predict(api_name="/training_status")
        assert "failed" not in state
        return words in state

    until(lambda: said("by-client-001 is being trained"))
    with pytest.raises(AppError, match="one training at a time"):
        client.predict("coffee", None, "second", 1, 64, "smoke/one_shot", "auto", api_name="/train_picture")
    stopping = client.predict(api_name="/stop_training")
    assert stopping.startswith("by-client-001 stops after this step and saves everything")
    until(lambda: said("by-client-001 was stopped after"))
    with pytest.raises(AppError, match="was to end at 10; give more"):
        client.predict("by-client-001", 1, 0.01, api_name="/resume_training")
    with pytest.raises(AppError, match="No training is running"):
        client.predict(api_name="/stop_training")


def test_measuring_reporting_and_comparing(client, server):
    verdicts, page, file, _ = client.predict("tiny", "quick", 20, api_name="/evaluate")
    assert "Copying:" in verdicts
    assert "<iframe" in page
    assert "sandbox" in page
    assert "<title>" in Path(file).read_text(encoding="utf-8")
    assert (server.runs / "evaluations" / "tiny-001" / "metrics.json").is_file()
    # A second one, measured alike, to compare with.
    copy = server.runs / "evaluations" / "tiny-002"
    copy.mkdir()
    (copy / "metrics.json").write_text((copy.with_name("tiny-001") / "metrics.json").read_text())
    words, page, _ = client.predict(["tiny-001", "tiny-002"], api_name="/compare")
    assert words
    assert "tiny-002" in page
    assert "<iframe" in client.predict("tiny-002", api_name="/report")[1]


# --- values of a wrong kind ------------------------------------------------------------------------------------------

# Of every public endpoint with arguments, values that it takes; each is replaced by others in turn.
TAKEN: dict[str, list] = {
    "sample": ["tiny", 0, 1, 1.0, "random", ""],
    "neighbours": ["tiny", "7", 0.6, 0],
    "move": ["tiny", "7", "factorisation", 3, 0, 0, 0, 0, 0],
    "walk": ["tiny", "1, 2", 0.5, 128, True, None, 0.8],
    "bring_photograph": ["tiny", None, "near"],
    "mix": ["tiny", "0", "1, 2", 8],
    "between": ["tiny", "0", "faces", "fruits"],
    "layers": ["tiny", "5"],
    "edit_layers": ["tiny", "5", "", 9, "masks", [1], None, *[1.0] * 8],
    "train_picture": ["coffee", None, "wrong kind", 1, 64, "quick", "auto"],
    "draw_picture": ["single", 40, 24, "0-1", 0, False, "new"],
    "edit_picture": ["single", "painting", "edit", 1, 0],
    "paint_picture": ["single", "painting", 1, "0"],
    "animate_picture": ["single", 0.5, 128, 0.9, 0.1, 2, 0],
    "analogy_picture": ["single", None, 0, "0"],
    "check_pictures": ["faces", None, "crop"],
    "start_training": ["faces", None, "wrong kind", 1, 32, "crop", 0, 0, "auto", "network", "auto", "", 0, 1],
    "resume_training": ["nothing", 1, 0],
    "evaluate": ["tiny", "quick", 20],
    "report": ["nothing"],
    "compare": [["nothing", "nowhere"]],
    "recognise": ["classes", "example", None, 0.5],
}
# A text is not refused for being a number: that is what it would be in the page.
WRONG: dict[str, tuple] = {
    "number": ("banana", [1, 2], {"a": 1}, None),
    "boolean": ("false", [True], None),
    "string": ([1, 2], {"a": 1}, None),
    "array": (5, "banana", {"a": 1}),
    "file": (5, "banana", [1]),
}


# Nothing given counts as the default there, as an empty field of the page does.
DEFAULTED = {("sample", "kind"), ("edit_layers", "gate"), ("draw_picture", "width"), ("draw_picture", "height")}


def kind_of(parameter: dict) -> str:
    said = str(parameter["type"].get("type") or "")
    files = ("filepath", "Dict(background")
    return "file" if any(f in parameter["python_type"]["type"] for f in files) or not said else said


def test_values_of_a_wrong_kind_are_refused_in_a_sentence(client, painting):
    """Each argument of each endpoint: an error that says what is wrong, no result and no error of ours."""
    described = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    without = {"/stop_training", "/training_status"}
    assert set(described) - without == {f"/{name}" for name in TAKEN}
    bad: list[str] = []
    for name, taken in TAKEN.items():
        taken = [painting if value == "painting" else value for value in taken]
        parameters = described[f"/{name}"]["parameters"]
        for place, parameter in enumerate(parameters):
            wrongs = WRONG.get(kind_of(parameter), WRONG["string"])
            # Two a parameter, in turn: all kinds meet all endpoints, and the test takes half the time.
            for wrong in (wrongs[place % len(wrongs)], wrongs[(place + 1) % len(wrongs)]):
                if wrong is None and (taken[place] is None or (name, parameter["parameter_name"]) in DEFAULTED):
                    continue
                data = [*taken[:place], wrong, *taken[place + 1 :]]
                where = f"{name}({parameter['parameter_name']}={wrong!r})"
                try:
                    answer = str(client.predict(*data, api_name=f"/{name}"))[:80]
                    bad.append(f"{where} was taken: {answer}")
                except (AppError, ValueError) as error:
                    words = str(error)
                    if len(words) < 20 or re.search(r"Traceback|Something went wrong|show_error", words):
                        bad.append(f"{where} was refused without a sentence: {words}")
    assert bad == [], "\n".join(bad)


def test_no_number_is_no_number(server):
    """NaN and infinities, which JSON has not and Python sends."""
    for word in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = f'{{"data": ["tiny", {word}, false, 1, 1, "random"]}}'
        address, headers = f"{server.address}/gradio_api/call/sample", {"Content-Type": "application/json"}
        posted = post(address, content=body, headers=headers)
        assert posted.status_code == 200, (word, posted.status_code)
        answer = get(f"{address}/{posted.json()['event_id']}").text
        assert "a whole number between 0 and" in told(answer)


# --- a client that means harm ----------------------------------------------------------------------------------------

PATHS = {
    "/etc/passwd": "of a wrong kind",
    "../../../../etc/passwd": "of a wrong kind",
    "..%2f..%2f..%2fetc%2fpasswd": "of a wrong kind",
    "/proc/self/environ": "of a wrong kind",
    "pyproject.toml": "Invalid file type",
    "http://127.0.0.1:1/x": "Addresses are not read",
    "file:///etc/passwd": "Addresses are not read",
}
"""Each with what is said of a set of pictures that is uploaded from there."""


def fingerprint(text: str) -> bool:
    return "root:" in text or "PATH=" in text or "[project]" in text


@pytest.mark.parametrize("path", PATHS)
def test_no_file_outside_is_served(server, path):
    for prefix in ("/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/", "/assets/", "/gradio_api/stream/"):
        answer = get(f"{server.address}{prefix}{path}")
        assert answer.status_code in (400, 403, 404, 405), (prefix, answer.status_code)
        assert not fingerprint(answer.text)


def test_values_of_another_kind_are_errors_and_nothing_more(server):
    for data in (["tiny", "nothing", 1, 1, "random"], [], [[]] * 6, ["tiny", {}, [], None, "x", 7]):
        answer = call(server, "sample", data)
        assert len(told(answer)) > 20
        assert "Traceback" not in answer


def test_neither_runs_nor_models_are_served(server):
    secret = server.runs / "secret.txt"
    secret.write_text("root: secret")
    for place in (secret, server.models / "tiny" / "config.yaml", server.models / "plain" / "model.safetensors"):
        assert get(f"{server.address}/gradio_api/file={place}").status_code in (403, 404)


def call(server, name: str, data: list) -> str:
    """An endpoint called by hand, as no client of gradio's would; the text of its last event."""
    posted = post(f"{server.address}/gradio_api/call/{name}", json={"data": data})
    if posted.status_code != 200:
        return posted.text
    event = posted.json()["event_id"]
    return get(f"{server.address}/gradio_api/call/{name}/{event}").text


def told(answer: str) -> str:
    """The message that the visitor sees."""
    assert "event: error" in answer, answer
    return json.loads(answer.rpartition("data: ")[2].strip())["error"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_that_is_sent_is_opened(server, path):
    """As model, as upload, as picture: each is refused."""
    answer = call(server, "sample", [path, 0, 1, 1, "random", ""])
    assert "There is no model called" in told(answer)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}
    for name, data in (
        ("recognise", ["classes", "upload", file, 0.5]),
        ("train_picture", ["upload", file, "x", 1, 64, "quick", "auto"]),
        ("check_pictures", ["upload", [file], "crop"]),
    ):
        answer = call(server, name, data)
        said = "upload it again" if path == "pyproject.toml" and name != "check_pictures" else PATHS[path]
        assert said in told(answer), name
        assert not fingerprint(answer)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("sample", ["tiny", -5, 1, 1, "random", ""], "-5"),
        ("sample", ["tiny", 0, 100000, 1, "random", ""], "100000"),
        ("sample", ["tiny", 0, 1, 99, "random", ""], "99"),
        ("sample", ["tiny", 0, 1, 1, "loud", ""], "loud"),
        ("sample", [{"a": 1}, 0, 1, 1, "random", ""], "There is no model called"),
        ("neighbours", ["tiny", "9" * 5000, 0.6, 0], "such as 0, 5, 12"),
        ("walk", ["tiny", "0-4000000", 12, 128, True, None, 0.8], "too many pictures"),
        ("mix", ["tiny", "0-4000000", "1", 8], "too many pictures"),
        ("draw_picture", ["single", 100000, 100000, "0", 0, False, "new"], "100000"),
        ("draw_picture", ["single", 32, 32, "0-4000000", 0, False, "new"], "too many seeds"),
        ("animate_picture", ["single", 1e9, 128, 0.9, 0.1, 2, 0], "must be between 0.5 and 20"),
        (
            "start_training",
            ["faces", None, "../../x", 1, 32, "crop", 0, 0, "auto", "network", "auto", "", 0, 1],
            "Give the run a name",
        ),
        (
            "start_training",
            ["faces", None, "x; rm -rf /", 1, 32, "crop", 0, 0, "auto", "network", "auto", "", 0, 1],
            "Give the run a name",
        ),
        (
            "start_training",
            ["faces", None, "x", 1, 32, "crop", 0, 0, "../x", "network", "auto", "", 0, 1],
            "choose one of auto",
        ),
        ("resume_training", ["../../x", 1, 0], "choose one of the list"),
        ("report", ["../../etc"], "There is no such report"),
        ("compare", [["../x", "/etc"]], "There is no such report"),
        ("evaluate", ["tiny", "quick", 1e9], "must be between 20 and 5000"),
        ("sample", ["pickled", 0, 1, 1, "random", ""], "not a safetensors file"),
    ],
)
def test_impossible_values_are_refused(server, name, data, message):
    answer = call(server, name, data)
    assert message in told(answer)
    assert len(told(answer)) > 10


def upload(server, name: str, content: bytes) -> dict:
    answer = post(f"{server.address}/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}, "orig_name": name}


def zip_of(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_bad_uploads_are_refused_in_a_sentence(server):
    for content, message in (
        (b"\x89PNG\r\n\x1a\nbroken", "is no picture that can be read"),
        (b"GIF89a", "is no picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no picture that can be read"),
        (bomb(12000, 12000), "megapixels where 40 are allowed"),
        (bomb(20000, 20000), "megapixels where 40 are allowed"),
    ):
        file = upload(server, "a.png", content)
        assert message in told(call(server, "recognise", ["classes", "upload", file, 0.5]))
        assert message in told(call(server, "train_picture", ["upload", file, "x", 1, 64, "quick", "auto"]))
    for name, content, message in (
        ("a.zip", b"PK no", "is not a readable zip"),
        ("a.zip", zip_of({"../../x.png": bomb(9, 9)}), "names must be relative"),
        ("a.zip", zip_of({f"{i}.png": b"" for i in range(6000)}), "members; 5,000 are allowed"),
        ("a.zip", zip_of({"big.png": bomb(12000, 12000)}), "megapixels where 40 are allowed"),
        ("a.txt", b"hello", "Invalid file type"),
        ("model.safetensors", b"hello", "Invalid file type"),
    ):
        file = upload(server, name, content)
        assert message in told(call(server, "check_pictures", ["upload", [file], "crop"]))
    assert server.process.poll() is None


def test_an_upload_above_the_limit_is_refused_while_it_comes(models_folder, tmp_path):
    from tests.ui.conftest import Server

    small = Server(models_folder, tmp_path / "runs", "--max-upload-mb", "1", "--auth", "me:secret")
    try:
        wall = get(f"{small.address}/config")
        assert wall.status_code == 401
        assert post(f"{small.address}/gradio_api/call/sample", json={"data": []}).status_code == 401
        assert post(f"{small.address}/gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 401
        visitor = httpx.Client(base_url=small.address, timeout=PATIENCE)
        visitor.post("/login", data={"username": "me", "password": "secret"}).raise_for_status()
        answer = visitor.post("/gradio_api/upload", files={"files": ("a.png", bytes(3 * 2**20))})
        assert answer.status_code == 413
        assert visitor.post("/login", data={"username": "me", "password": "wrong"}).status_code == 400
        visitor.close()
        folder = small.temporary
        assert folder.name.startswith("sase-gan-studio-")
    finally:
        small.stop()
    # Nothing of the server's stays behind.
    assert not folder.exists()


def test_other_sites_and_other_names_are_refused(server):
    data = {"data": ["tiny", 0, 1, 1, "random"]}
    address = f"{server.address}/gradio_api/call/sample"
    answer = post(address, json=data, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "comes from another site" in answer.text
    assert get(server.address, headers={"Host": "evil.example"}).status_code == 400
    assert post(address, json=data, headers={"Origin": server.address}).status_code == 200


def test_visitors_at_once_get_each_their_own(server, client):
    wanted = {s: file_of(client.predict("tiny", s, 1, 1.0, "random", api_name="/sample")[0]).read_bytes()
              for s in range(4)}  # fmt: skip
    right = dict.fromkeys(wanted, 0)

    def visit(seed: int) -> None:
        mine = visitor_of(server)
        for _ in range(3):
            gallery, used, _ = mine.predict("tiny", seed, 1, 1.0, "random", api_name="/sample")
            right[seed] += used == seed and file_of(gallery).read_bytes() == wanted[seed]
        mine.close()

    visitors = [threading.Thread(target=visit, args=(seed,)) for seed in wanted]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(PATIENCE)
    assert right == dict.fromkeys(wanted, 3)


def test_after_all_this_the_server_is_alive_and_kept_nothing(server, client):
    assert client.predict("tiny", 1, 1, 1.0, "random", api_name="/sample")[1] == 1
    assert not [path for path in server.temporary.rglob("*.safetensors") if path.stat().st_size > 10]
