"""Models of pictures that are no squares: from the command line to their figures, and on from a checkpoint."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from sase_gan.drawing.sampling import draw_inputs, sample_images
from sase_gan.networks.load import load_generator, load_network
from sase_gan.pixels import read_image
from sase_gan.runs.folder import RunFolder
from tests.processes import invoke

DATA = Path(__file__).resolve().parents[2] / "data"
OPTIONS = ("--preset", "smoke/low_shot", "--threads", 1, "--device", "cpu")
QUIET = ("schedule.baseline_images=0", "schedule.log_images=4", "schedule.checkpoint_images=4")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few") / "fruits"
    folder.mkdir()
    for path in sorted((DATA / "fruits-and-flowers").glob("*.png"))[:6]:
        shutil.copy(path, folder)
    return folder


def settings(images: int, *more: str) -> list[str]:
    ends = (f"schedule.total_images={images}", f"schedule.snapshot_images={images}")
    return [word for setting in (*QUIET, *ends, *more) for word in ("--set", setting)]


def train(pictures: Path, out: Path, images: int) -> RunFolder:
    size = ("--image-size", "32x48", "--fit", "pad")
    invoke("train", pictures, *size, "--out", out, *OPTIONS, *settings(images), "--no-figures")
    return RunFolder(out)


@pytest.fixture(scope="module")
def tall(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(pictures, tmp_path_factory.mktemp("tall") / "run", 8)


def test_a_tall_model_learns_draws_and_is_published(tall: RunFolder, tmp_path: Path) -> None:
    network = load_generator(tall.snapshot(8))
    assert (network.config.image_size, network.config.first_map, network.config.picture_size) == (32, (6, 4), (48, 32))
    # 16x16 maps are 24x16 here, and so on.
    assert network.noise_shapes() == ((1, 12, 8), (1, 12, 8), (1, 48, 32), (1, 48, 32))
    assert [tuple(maps.shape) for maps in network.feature_maps(draw_inputs(network, [0]).z).values()] == [
        (1, network.channels(side), side * 6 // 4, side) for side in (4, 8, 16, 32)
    ]
    invoke("sample", tall.path, "--seeds", "0-1", "--out", tmp_path, "--device", "cpu")
    assert torch.equal(read_image(tmp_path / "seed000001.png"), sample_images(network, [1])[0])
    # Six pictures of 32x48 in two columns, with 2 px around each.
    assert read_image(tall.path / "grids" / "reals.png").shape == (3, 3 * 50 + 2, 2 * 34 + 2)


def test_it_is_measured_against_its_pictures_in_its_proportions(
    tall: RunFolder, pictures: Path, tmp_path: Path
) -> None:
    invoke("evaluate", tall.path, "--real", pictures, "--count", 4, "--out", tmp_path, "--no-cache", "--device", "cpu")
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["data"]["image_size"] == record["fakes"]["image_size"] == [48, 32]


def test_it_goes_on_as_if_it_had_never_stopped(tall: RunFolder, pictures: Path, tmp_path: Path) -> None:
    parted = train(pictures, tmp_path / "parted", 4)
    invoke("train", "--resume", parted.path, "--kimg", 0.008, "--threads", 1, "--device", "cpu", "--no-figures")
    states = [torch.load(run.checkpoint, weights_only=True)["state_dict"] for run in (tall, parted)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.slow
def test_a_set_is_recombined_in_such_proportions_without_training(pictures: Path, tmp_path: Path) -> None:
    few = ("schedule.grid_images=2", "schedule.evaluation_count=0", "recombination.form=aligned")
    options = [word for setting in few for word in ("--set", setting)]
    size = ("--image-size", "48x32")
    invoke("train", pictures, "--preset", "instant", *size, "--out", tmp_path / "run", "--device", "cpu", *options)
    network = load_network(RunFolder(tmp_path / "run").snapshot(0))
    assert sample_images(network, [0]).shape == (1, 3, 32, 48)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("70x96", "both sides must be multiples of 16 px, as in 64x96"),
        ("32x160", "the longer side may be 4 times the shorter one"),
        ("64*96", "write a side such as 64, or WIDTHxHEIGHT such as 64x96"),
    ],
)
def test_other_sizes_are_refused_in_a_sentence(pictures: Path, tmp_path: Path, size: str, words: str) -> None:
    out = tmp_path / "run"
    said = invoke("train", pictures, "--image-size", size, "--out", out, *OPTIONS, code=2)
    assert words in said
    assert not out.exists()
