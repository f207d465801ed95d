import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from sase_gan.datasets.images import load_image_set
from sase_gan.datasets.sources import bundled_data
from sase_gan.networks.generator import GeneratorConfig
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.pixels import write_png
from sase_gan.recognition.classification.classifier import Classifier, ClassifierConfig
from sase_gan.recognition.detection.detector import Detector, DetectorConfig
from sase_gan.recognition.settings import BackboneSection, DetectorSection, PicturesSection
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from tests.awake import awake
from tests.processes import PATIENCE, until

BROWSERS = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
"""The browser that drives the studio: the one that the environment variable CHROMIUM names, or one of the usual."""


@pytest.fixture(scope="session", autouse=True)
def one_event_loop() -> Iterator[None]:
    """Give gradio an event loop: it makes one of its own for a page that is built without, and leaves it open."""
    with asyncio.Runner() as runner:
        runner.get_loop()
        yield


@pytest.fixture(scope="session")
def few_pictures(tmp_path_factory) -> list[Path]:
    """Eight pictures of 40 px."""
    folder = tmp_path_factory.mktemp("few")
    faces = load_image_set(bundled_data("emoji-faces"), image_size=40, max_images=8)
    for name, image in zip(faces.names, faces.images, strict=True):
        write_png(folder / name, image)
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory, few_pictures) -> Path:
    """Small models of every kind.

    A run `tiny`, with SASE and attentive normalization; `plain`, with neither; `single`, of one picture; `instant`,
    without training; `classes`, a classifier with SASE and attentive normalization; `finder`, a
    detector; and `pickled`, which is no model.
    """
    folder = tmp_path_factory.mktemp("models")
    pictures = few_pictures[0].parent
    images = load_image_set(pictures, image_size=64)
    facts = {"name": pictures.name, "count": len(images), "digest": images.digest, "fit": "crop"}
    small = {"image_size": 64, "width": 8, "latent_size": 16, "spectral_norm": False}
    tiny = awake(GeneratorConfig(num_components=3, **small))
    tiny.provenance = {"data": facts, "images_seen": 1200}
    tiny.save_pretrained(folder / "tiny" / "snapshots" / "000001.200kimg")
    (folder / "tiny" / "config.yaml").write_text(yaml.safe_dump({"seed": 0, "data": {"path": str(pictures)}}))
    awake(GeneratorConfig(norm="batch", skip="sle", **small)).save_pretrained(folder / "plain")
    pyramid = Pyramid(PyramidConfig(sizes=((12, 12), (18, 18), (28, 28)), width=8))
    pyramid.picture.copy_(load_image_set(pictures, image_size=28).images[0])
    pyramid.amplitudes.copy_(torch.tensor([1.0, 0.3, 0.2]))
    pyramid.eval().save_pretrained(folder / "single")
    backbone = BackboneSection(name="cifar_resnet18", width=0.25, layers={"norm": "attentive", "conv": "sase"})
    names = ("cat", "dog", "<b>bird</b>")
    config = ClassifierConfig(backbone=backbone, pictures=PicturesSection(), classes=names, channels=3)
    Classifier(config).eval().save_pretrained(folder / "classes")
    section = {"channels": 16, "box_head": "linear", "box_features": 32, "smallest_side": 64, "largest_side": 64}
    small_detector = DetectorSection(anchor_sizes=(12.0, 20.0, 32.0, 48.0, 64.0), proposals=20, box_batch=16, **section)
    finder = DetectorConfig(
        backbone=BackboneSection(name="resnet18d", width=0.125),
        detector=small_detector,
        classes=("disc",),
        category_ids=(1,),
    )
    Detector(finder).eval().save_pretrained(folder / "finder")
    files = tuple(path.name for path in few_pictures)
    instant = Recombiner(RecombinerConfig(count=8, size=(32, 32), names=files))
    instant.pictures.copy_(load_image_set(pictures, image_size=32).images)
    instant.eval().save_pretrained(folder / "instant")
    (folder / "pickled").mkdir()
    (folder / "pickled" / "config.json").write_bytes((folder / "plain" / "config.json").read_bytes())
    torch.save({"weight": torch.zeros(2)}, folder / "pickled" / "model.safetensors")
    return folder


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """What is the studio's temporary folder for handlers that are called as functions."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


class Server:
    """The studio as its users start it, in a process of its own."""

    def __init__(self, models: Path, runs: Path, *options: str) -> None:
        self.runs, self.models = runs, models
        runs.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "sase_gan", "studio", "--models", str(models), "--runs", str(runs), *options]
        self.log = runs.parent / "studio.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).resolve().parents[2],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        until(self._address, self.process)
        self.address = self._address()

    def _address(self) -> str:
        found = re.search(r"open at (\S+?)/? ", self.log.read_text())
        return found[1] if found else ""

    @property
    def temporary(self) -> Path:
        """Its working directory."""
        return Path(os.readlink(f"/proc/{self.process.pid}/cwd"))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture(scope="session")
def server(models_folder, tmp_path_factory):
    found = Server(models_folder, tmp_path_factory.mktemp("studio") / "runs")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def chromium():
    from playwright import sync_api  # tests that have no use for it need not have it

    with sync_api.sync_playwright() as running:
        # Without a sandbox of its own: containers forbid it. The pages are ours.
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
