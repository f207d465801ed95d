"""Runs without training, from pictures on a disk to a model that draws."""

import json
import subprocess
import sys

import pytest
import torch

from sase_gan.api.sample import sample
from sase_gan.api.train import train
from sase_gan.datasets.images import load_image_set
from sase_gan.errors import UsageError
from sase_gan.hardware import choose_hardware
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import load_network
from sase_gan.pixels import write_png
from sase_gan.recombination.model import Recombiner
from sase_gan.runs.folder import RunFolder, is_run
from sase_gan.runs.instant import BASELINE_GRID, grid_pictures
from sase_gan.runs.presets import choose_kind
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.tasks import TASKS, is_of_one_picture, planned
from sase_gan.runs.train import foretell
from sase_gan.snapshot import snapshot_digest


@pytest.fixture
def folder(tmp_path):
    source = torch.Generator().manual_seed(0)
    shared = torch.rand(1, 3, 6, 6, generator=source)
    for index in range(5):
        coarse = torch.lerp(shared, torch.rand(1, 3, 6, 6, generator=source), 0.4)
        image = torch.nn.functional.interpolate(coarse, size=64, mode="bicubic").clamp(0, 1)[0]
        write_png(tmp_path / "pictures" / f"p{index}.png", (255 * image).to(torch.uint8))
    return tmp_path / "pictures"


def made(folder, out, **options):
    lines: list[str] = []
    settings = {"schedule.grid_images": 2, "recombination.even": False}
    run = train(folder, out=out, figures=False, report=lines.append, settings=settings, **options)
    return run, "\n".join(lines)


def test_a_few_pictures_are_recombined_by_themselves_and_the_snapshot_holds_them(folder, tmp_path) -> None:
    run, told = made(folder, tmp_path / "run")
    assert "fewer than 30" in told
    assert "contains the training pictures" in told
    assert "5 pictures are very few: expect variations of each" in told
    network = load_network(run.snapshot)
    assert isinstance(network, Recombiner)
    assert torch.equal(network.pictures, load_image_set(folder, image_size=64).images)
    assert network.config.names == tuple(f"p{index}.png" for index in range(5))
    assert "new arrangements, not new matter" in (run.snapshot / "README.md").read_text()
    assert (run.folder / "grids" / "reals.png").is_file()


def test_pictures_follow_from_snapshot_and_seed_and_name_their_sources(folder, tmp_path) -> None:
    run, _ = made(folder, tmp_path / "run")
    several, alone = (sample(run, seeds, progress=False, sources=True) for seeds in ("0-4", "3"))
    assert torch.equal(several.pixels[3], alone.pixels[0])
    several.save(tmp_path / "drawn")
    told = json.loads((tmp_path / "drawn" / "seed000003.sources.json").read_text())
    assert sum(told["shares"].values()) == pytest.approx(1, abs=0.01)
    assert set(told["shares"]) <= {f"p{index}.png" for index in range(5)}
    assert (tmp_path / "drawn" / "seed000003.sources.png").is_file()


def test_variety_changes_what_is_drawn_and_is_given_back(folder, tmp_path) -> None:
    run, _ = made(folder, tmp_path / "run")
    network = load_network(run.snapshot)
    plain, varied, again = (sample(network, "0-3", progress=False, variety=v).pixels for v in (None, 0.8, None))
    assert not torch.equal(plain, varied)
    assert torch.equal(plain, again)
    with pytest.raises(UsageError, match="at most 4"):
        sample(network, "0", progress=False, variety=9.0)


def test_one_picture_is_recombined_from_any_place(folder, tmp_path) -> None:
    run, told = made(folder / "p0.png", tmp_path / "run")
    assert "recombined from any place" in told
    assert "very few" not in told
    images = sample(run, "0-1", progress=False)
    assert images.pixels.shape == (2, 3, 64, 64)
    assert not torch.equal(images.pixels[0], images.pixels[1])


@pytest.mark.parametrize("what", [".", "p0.png"], ids=["a set", "one picture"])
def test_the_grid_gives_back_the_pictures_of_its_seeds_and_only_to_its_own_model(folder, tmp_path, what) -> None:
    run, _ = made(folder / what, tmp_path / "run")
    digest = snapshot_digest(run.snapshot)
    found = grid_pictures(run.folder, digest, (64, 64))
    assert torch.equal(found, sample(run, "0-1", progress=False).pixels)
    assert grid_pictures(run.folder, digest[::-1], (64, 64)) is None
    RunFolder(run.folder).grid(0).unlink()
    assert grid_pictures(run.folder, digest, (64, 64)) is None


def test_what_belongs_to_a_training_is_refused(folder, tmp_path) -> None:
    with pytest.raises(UsageError, match="nothing is trained"):
        made(folder, tmp_path / "run", preset="instant", kimg=1.0)
    run, _ = made(folder, tmp_path / "run")
    with pytest.raises(UsageError, match="nothing to go on with"):
        train(resume=run.folder, report=lambda line: None)


def test_sources_of_a_network_that_learned_are_refused() -> None:
    network = Generator(GeneratorConfig(image_size=32, width=4, latent_size=16)).eval()
    with pytest.raises(UsageError, match="only a model without training"):
        sample(network, "0", progress=False, sources=True)


def test_the_number_of_pictures_chooses_the_kind() -> None:
    assert {count: choose_kind(count)[0] for count in (1, 2, 29)} == {1: "instant", 2: "instant", 29: "instant"}
    assert {choose_kind(count)[0] for count in (30, 500)} == {"low_shot"}


@pytest.mark.slow
def test_lightning_stays_unloaded(folder, tmp_path) -> None:
    code = (
        "import sys, sase_gan\n"
        f"sase_gan.train({str(folder)!r}, out={str(tmp_path / 'run')!r}, figures=False, report=lambda line: None, "
        "settings={'schedule.grid_images': 1})\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('lightning', 'pytorch_lightning')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_training_shows_first_what_recombining_alone_gives(tmp_path) -> None:
    told: list[str] = []

    def report(line: str) -> None:
        if "without training" in line:
            run = RunFolder(tmp_path / "run")
            told.append(str((run.path / "grids" / BASELINE_GRID).is_file() and not run.snapshots()))

    train("data/emoji-faces", preset="smoke/low_shot", out=tmp_path / "run", figures=False, report=report)
    assert told == ["True"]


def test_how_many_are_drawn_and_measured_is_settled_by_the_pictures(folder, tmp_path) -> None:
    unlike = tmp_path / "unlike"
    for index in range(3):
        image = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(index))
        image = torch.nn.functional.interpolate(image, size=64, mode="bicubic").clamp(0, 1)[0]
        write_png(unlike / f"{index}.png", (255 * image).to(torch.uint8))
    paths = (folder, unlike, folder / "p0.png")
    found = [TASKS["instant"].resolve(TrainRequest(path), choose_hardware("cpu"), print) for path in paths]
    told = [(one.schedule.grid_images, one.schedule.evaluation_count, one.data.mirror) for one in found]
    assert told == [(64, 200, True), (16, 16, False), (16, 16, False)]
    assert [(one.image_size, one.max_size) for one in found] == [(64, None), (64, None), (None, 64)]


def test_a_run_is_read_like_any_other(folder, tmp_path) -> None:
    several, alone = made(folder, tmp_path / "a")[0], made(folder / "p0.png", tmp_path / "b")[0]
    assert planned(several.folder, 0) == (0, 1.0)
    assert [is_of_one_picture(run.folder) for run in (several, alone)] == [False, True]
    assert is_run(several.folder)


def test_a_size_that_cannot_be_halved_is_refused_with_one_that_can(folder, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"image_size is 250; .* such as 240"):
        made(folder, tmp_path / "run", image_size=250)


def test_a_dry_run_tells_what_the_snapshot_will_contain(folder, tmp_path) -> None:
    lines: list[str] = []
    foretell(TrainRequest(folder, out=tmp_path / "run", device="cpu"), lines.append)
    assert any("contains the training pictures" in line for line in lines)
    assert any("s a picture" in line for line in lines)
    assert not (tmp_path / "run").exists()
