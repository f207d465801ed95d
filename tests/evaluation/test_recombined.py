"""What recombining the training pictures alone gives, measured beside a network's figures."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.datasets.images import load_image_set
from sase_gan.drawing.sampling import sample_images
from sase_gan.evaluation import recombined
from sase_gan.evaluation.options import EvaluationOptions
from sase_gan.evaluation.run import run_evaluation
from sase_gan.hardware import choose_hardware
from sase_gan.metrics.records import EvaluationRecord, read_record
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.pixels import write_png
from sase_gan.recombination.evenness import even_prior
from sase_gan.report.write import write_report
from sase_gan.runs.instant import build
from sase_gan.training.instant_config import RecombinationSection

FACES = Path(__file__).parents[2] / "data" / "emoji-faces"
GRID, COUNT = 4, 6


def save(images: Tensor, folder: Path) -> Path:
    for index, image in enumerate(images):
        write_png(folder / f"{index:03d}.png", image)
    return folder


@pytest.fixture(scope="module")
def reals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(load_image_set(FACES, image_size=32, max_images=4).images, tmp_path_factory.mktemp("recombined") / "r")


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small grids, and a calibration of a moment."""
    monkeypatch.setattr(recombined, "GRID_PICTURES", GRID)
    monkeypatch.setattr("sase_gan.runs.instant.even_prior", partial(even_prior, rounds=1, samples=4))


@pytest.fixture
def trained(reals: Path, tmp_path: Path) -> Path:
    """A run whose generator has learnt nothing."""
    torch.manual_seed(0)
    network = Generator(GeneratorConfig(image_size=32, width=8))
    network.provenance = {"data": {"mirror": True}}
    network.save_pretrained(tmp_path / "run" / "snapshots" / "000001kimg")
    (tmp_path / "run" / "config.yaml").write_text(f"task: low_shot\ndata:\n  path: {reals}\n  fit: crop\n")
    return tmp_path / "run"


def evaluated(source: Path, out: Path, **more: Any) -> EvaluationRecord:
    options = {"metrics": ("patches",), "count": COUNT, "cache": out.parent / "cache", "device": "cpu", **more}
    return run_evaluation(EvaluationOptions(source, out=out, **options)).record


def test_its_figures_are_those_of_the_same_pictures_given_as_a_folder(
    trained: Path, reals: Path, tmp_path: Path
) -> None:
    part = evaluated(trained, tmp_path / "one").recombined
    assert part is not None
    assert part.n == COUNT
    assert "because" in str(part.words)
    images = load_image_set(reals, image_size=32)
    made = build(RecombinationSection(), images.images, images.names, choose_hardware("cpu"), mirror=True)
    drawn = save(sample_images(made.network, range(1_000_000, 1_000_000 + COUNT)), tmp_path / "drawn")
    expected = evaluated(drawn, tmp_path / "two", real=reals)
    assert part.metrics["patch_swd"].value == pytest.approx(expected.value("patch_swd"), rel=1e-9)


def test_it_is_measured_once_and_kept(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counted(network: Any, seeds: range, **more: Any) -> Tensor:
        drawn.append(len(seeds))
        return sample_images(network, seeds, **more)

    monkeypatch.setattr(recombined, "sample_images", counted)
    first, second = (evaluated(trained, tmp_path / "one").recombined for _ in range(2))
    assert first == second
    assert drawn == [GRID, COUNT - GRID, GRID]
    assert evaluated(trained, tmp_path / "two", count=COUNT + 1).recombined != first


def test_report_and_record_show_it_beside_the_network(trained: Path, tmp_path: Path) -> None:
    evaluated(trained, tmp_path / "one")
    found = read_record(tmp_path / "one" / "metrics.json")
    assert found.recombined is not None
    assert found.recombined.grid == "samples/recombined.png"
    assert (tmp_path / "one" / found.recombined.grid).is_file()
    page = write_report(tmp_path / "one").read_text()
    assert "Recombined, without training" in page
    assert '<td data-label="Recombined">' in page
    table = (tmp_path / "one" / "report.md").read_text()
    assert "| recombined |" in table
    lines = table.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("| measure | features |"))
    assert len({line.count("|") for line in lines[first : first + 3]}) == 1


def test_it_is_for_networks_measured_against_their_own_pictures(trained: Path, reals: Path, tmp_path: Path) -> None:
    assert evaluated(trained, tmp_path / "a", baseline=False).recombined is None
    assert evaluated(trained, tmp_path / "b", real=reals).recombined is None
    assert evaluated(trained / "snapshots" / "000001kimg", tmp_path / "c").recombined is not None
    images = load_image_set(reals, image_size=32)
    made = build(RecombinationSection(), images.images, images.names, choose_hardware("cpu"), mirror=True)
    made.network.save_pretrained(trained / "snapshots" / "000001kimg")
    assert evaluated(trained, tmp_path / "d").recombined is None


def test_what_would_take_long_is_left_out_with_a_note(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recombined, "LARGEST_WORK", {"aligned": 5 * 32 * 32, "free": 10 * 32 * 32})
    found = evaluated(trained, tmp_path / "one")
    assert found.recombined is None
    assert "--count 5 has it" in found.notes[-1]
