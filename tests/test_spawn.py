"""Where processes begin from nothing, as on Windows and macOS, a training runs, and workers read the same batches."""

import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from sase_gan.datasets.low_shot import EndlessBatches
from sase_gan.datasets.sources import open_images
from sase_gan.pixels import write_png
from sase_gan.recognition.classification.data import TrainingPictures, open_labelled
from sase_gan.recognition.settings import PicturesSection
from sase_gan.runs.request import TrainRequest
from sase_gan.runs.train import train

FACES = Path(__file__).resolve().parents[1] / "data" / "emoji-faces"


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for index, name in enumerate(("apple", "pear")):
        for number in range(4):
            colour = torch.tensor([80 * index, 20 * number, 7], dtype=torch.uint8)
            write_png(tmp_path / "fruit" / name / f"{number}.png", colour[:, None, None].expand(3, 9, 7).contiguous())
    return tmp_path / "fruit"


@pytest.mark.slow
def test_workers_that_begin_from_nothing_read_the_same_batches(classes: Path) -> None:
    pictures = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    endless = EndlessBatches(pictures, batch_size=3, seed=1)
    shutil.make_archive(str(classes), "zip", classes)
    zipped = TrainingPictures(open_labelled(classes.with_suffix(".zip"), "train"), PicturesSection(image_size=8))
    several: list[tuple[Dataset, int | None]] = [(endless, None), (zipped, 2)]
    for data, size in several:
        batches = {}
        for workers in (0, 1):
            torch.manual_seed(3)
            loader = DataLoader(
                data,
                batch_size=size,
                num_workers=workers,
                multiprocessing_context="spawn" if workers else None,
                generator=torch.Generator().manual_seed(0),
            )
            batches[workers] = next(iter(loader))
        one, other = (batch if isinstance(batch, list) else [batch] for batch in batches.values())
        assert [part.shape for part in one] == [part.shape for part in other]
        assert all(torch.equal(part, twin) for part, twin in zip(one, other, strict=True))


def test_each_process_opens_a_zip_for_itself(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that were copied would share a file, and with it the place where the next one reads."""
    shutil.make_archive(str(classes), "zip", classes)
    source = open_images(classes.with_suffix(".zip"))
    before, first = source._zip, source.read(0)
    assert source._zip is before
    monkeypatch.setattr("sase_gan.datasets.sources.os.getpid", lambda: -1)
    assert source._zip is not before
    assert torch.equal(source.read(0), first)


def test_a_training_in_such_a_process(tmp_path: Path) -> None:
    settings = ("schedule.total_images=8", "schedule.log_images=4", "schedule.baseline_images=0")
    request = TrainRequest(
        FACES, out=tmp_path / "run", preset="smoke/low_shot", settings=settings, device="cpu", threads=1, figures=False
    )
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        result = pool.submit(partial(train, request)).result()
    assert (result.images_seen, result.interrupted) == (8, False)
    assert result.run.chosen_snapshot() == result.run.snapshot(8)
