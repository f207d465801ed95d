"""Models to a hub and from there, against a stand-in that answers as the hub does."""

import base64
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
import torch
from huggingface_hub import constants
from typer.testing import CliRunner

from sase_gan.api.hub import pull, push
from sase_gan.cli import app
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, SaseGanError, UsageError
from sase_gan.files import write_json
from sase_gan.metrics.records import (
    RECORD_FILE,
    SCHEMA_VERSION,
    EvaluationRecord,
    MetricRecord,
    ModelPart,
    VerdictRule,
)
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import load_network
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.snapshot import WEIGHTS_FILE, snapshot_digest

COMMIT = "c0ffee" + 34 * "0"


class StandIn(BaseHTTPRequestHandler):
    """Answers what the hub's client asks of it for publishing, listing and fetching a model."""

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        self.server.asked.append((path, self.headers.get("Authorization")))
        if not self.headers.get("Authorization"):
            return self.answer({"error": "Invalid username or password."}, 401, X_Error_Message="log in first")
        if path == "/api/repos/create":
            return self.answer({"url": f"http://{self.headers['Host']}/somebody/faces", "id": "somebody/faces"})
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            plain = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self.answer({"files": [{"path": file["path"], **plain} for file in files]})
        if "/commit/" in path:
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            host = f"http://{self.headers['Host']}/somebody/faces"
            return self.answer({"success": True, "commitOid": COMMIT, "commitUrl": f"{host}/commit/{COMMIT}"})
        return self.answer({"error": path}, 404)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((path, None))
        if match := re.fullmatch(r"/somebody/faces/resolve/[^/]+/(.+)", path):
            if match[1] in self.server.files:
                content = self.server.files[match[1]]
                return self.answer(content, ETag=f'"{len(content)}"', X_Repo_Commit=COMMIT)
        elif path.startswith("/api/models/somebody/faces/tree/"):
            files = self.server.files.items()
            return self.answer([{"type": "file", "path": p, "size": len(c), "oid": p} for p, c in files])
        elif path.startswith("/api/models/somebody/faces"):
            siblings = [{"rfilename": name} for name in self.server.files]
            return self.answer({"id": "somebody/faces", "sha": COMMIT, "siblings": siblings})
        return self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.files, server.asked = {}, []
    server.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "faces"
    network = Generator(GeneratorConfig(image_size=32, width=4, latent_size=4, num_components=2)).folded()
    network.provenance = {"data": {"licence": "CC0-1.0", "name": "dots", "count": 12}}
    network.save_pretrained(folder)
    return folder


def evaluated(folder: Path, digest: str) -> Path:
    metric = MetricRecord(base="patch_swd", status="ok", value=0.25, low=0.2, high=0.3, n_real=12, n_fake=64)
    rule = VerdictRule(rule="amber: 0.2 to 0.3", text="Some are near.")
    record = EvaluationRecord(
        schema_version=SCHEMA_VERSION,
        protocol={"name": "quick"},
        model=ModelPart(digest=digest),
        metrics={"patch_swd": metric},
        verdict={"copying": "amber"},
        verdict_rules={"copying": rule},
    )
    write_json(folder / RECORD_FILE, record.to_json())
    return folder


def test_a_model_goes_to_the_hub_and_comes_back_the_same(hub, snapshot, tmp_path):
    figures = evaluated(tmp_path / "evaluation", snapshot_digest(snapshot))
    done = push(snapshot, "somebody/faces", evaluation=figures, endpoint=hub.address)
    assert done.address == f"{hub.address}/somebody/faces"
    assert set(hub.files) == {"model.safetensors", "config.json", "README.md", "grid.png"}
    assert hub.files[WEIGHTS_FILE] == (snapshot / WEIGHTS_FILE).read_bytes()
    card = hub.files["README.md"].decode()
    for words in (
        "license_name: CC0-1.0",
        "sase-gan sample somebody/faces",
        "(grid.png)",
        "Protocol: quick",
        "| copying | amber | Some are near. amber: 0.2 to 0.3 |",
        "| 0.25 | 0.20 to 0.30 |",
    ):
        assert words in card, card
    assert pull("somebody/faces", tmp_path / "mine", endpoint=hub.address) == snapshot_digest(snapshot)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == set(hub.files)
    both = (load_network(folder) for folder in (snapshot, tmp_path / "mine"))
    assert torch.equal(*(sample_images(network, [0, 1]) for network in both))


def test_a_dry_run_shows_everything_and_asks_nobody(hub, snapshot):
    result = CliRunner().invoke(app, ["push", str(snapshot), "somebody/faces", "--dry-run"])
    assert result.exit_code == 0, result.output
    assert f"{(snapshot / WEIGHTS_FILE).stat().st_size:,} bytes  model.safetensors" in result.output
    assert "None were measured." in result.output
    assert "nothing was sent" in result.output
    assert hub.asked == []


def test_what_must_not_go_out_is_refused(hub, snapshot, tmp_path):
    instant = Recombiner(RecombinerConfig(count=1, size=(16, 16)))
    instant.provenance = {"data": {"licence": "CC0-1.0"}}
    instant.save_pretrained(tmp_path / "instant")
    with pytest.raises(UsageError, match=r"holds its training pictures.*--with-pictures"):
        push(tmp_path / "instant", "somebody/faces", endpoint=hub.address)
    bare = load_network(snapshot)
    bare.provenance = {}
    bare.save_pretrained(tmp_path / "bare")
    with pytest.raises(UsageError, match=r"is not stated.*--licence"):
        push(tmp_path / "bare", "somebody/faces", endpoint=hub.address)
    with pytest.raises(UsageError, match="must be OWNER/NAME"):
        push(snapshot, "faces", endpoint=hub.address)
    with pytest.raises(DataError, match="measured abc, and"):
        push(snapshot, "somebody/faces", evaluation=evaluated(tmp_path / "other", "abc"), endpoint=hub.address)
    assert hub.asked == []


def test_a_hub_that_refuses_is_told_in_a_sentence(hub, snapshot, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with pytest.raises(SaseGanError, match=r"somebody/faces could not be published \(.*log in with: hf auth login"):
        push(snapshot, "somebody/faces", endpoint=hub.address)
    with pytest.raises(DataError, match="nobody/nothing could not be had from the hub"):
        pull("nobody/nothing", tmp_path / "nothing", endpoint=hub.address)
    assert not (tmp_path / "nothing").exists()


def test_what_comes_is_read_strictly_before_it_appears(hub, snapshot, tmp_path):
    hub.files = {WEIGHTS_FILE: b"no weights at all", "pickle.bin": b"evil"}
    with pytest.raises(DataError, match="is not a safetensors file"):
        pull("somebody/faces", tmp_path / "mine", endpoint=hub.address)
    assert not (tmp_path / "mine").exists()
    hub.files[WEIGHTS_FILE] = (snapshot / WEIGHTS_FILE).read_bytes()
    pull("somebody/faces", tmp_path / "mine", endpoint=hub.address)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {WEIGHTS_FILE}  # and no pickle
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is no snapshot; choose another --out"):
        pull("somebody/faces", tmp_path / "thesis", endpoint=hub.address)
