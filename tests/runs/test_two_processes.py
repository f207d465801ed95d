"""Two processes train one run: with equal weights, on what one process with twice the batch sees; and one may die.

They talk by gloo, on the CPU. Minutes on a busy machine, for each process imports everything.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sase_gan.colours import seen as as_seen
from sase_gan.datasets.images import load_image_set
from sase_gan.drawing.sampling import sample_images
from sase_gan.metrics.quick import prepare_measure
from sase_gan.networks.load import load_generator
from sase_gan.runs.folder import RunFolder
from sase_gan.runs.history import read_run
from tests.processes import PATIENCE, started, until

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[2]
FACES = REPOSITORY / "data" / "emoji-faces"
SPY = """
import json, os, sys
from hashlib import sha256
from pathlib import Path

from sase_gan.cli import main
from sase_gan.training.low_shot import LowShotModule

step, notes = LowShotModule.training_step, Path(os.environ["NOTES"])

def digest(*tensors):
    return sha256(b"".join(one.detach().double().numpy().tobytes() for one in tensors)).hexdigest()

def noting(self, batch, batch_idx):
    step(self, batch, batch_idx)
    line = {"pid": os.getpid(), "seen": self.images_seen, "pictures": [digest(one) for one in batch],
            "weights": digest(*self.generator.parameters(), *self.discriminator.parameters(),
                              *self.average.module.parameters())}
    with open(notes / f"{self.global_rank}.jsonl", "a") as file:
        file.write(json.dumps(line) + "\\n")

LowShotModule.training_step = noting
main()
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "spy.py").write_text(SPY)
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return tmp_path / "notes"


def command(notes: Path, out: str, *more: object) -> tuple[object, ...]:
    """A training in a folder beside the notes."""
    options = ("--preset", "smoke/low_shot", "--no-figures", "--device", "cpu", "--threads", "1")
    quick = ("schedule.snapshot_images=100000", "schedule.log_images=8", "schedule.checkpoint_images=16")
    settings = [word for one in (*quick, "schedule.baseline_images=0") for word in ("--set", one)]
    return ("train", FACES, "--out", notes.parent / out, *options, *settings, *more)


def spied(notes: Path) -> Any:
    return (sys.executable, str(notes.parent / "spy.py"))


def carry_out(notes: Path, *arguments: object, code: int = 0) -> str:
    with started(*arguments, program=spied(notes)) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, output
    return output


def told(notes: Path, rank: int) -> list[dict[str, Any]]:
    path = notes / f"{rank}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def seen(run: Path) -> int:
    return int(torch.load(RunFolder(run).checkpoint, weights_only=True)["clock"]["images_seen"])


@pytest.mark.timeout(900)
def test_two_have_equal_weights_and_see_what_one_with_twice_the_batch_sees(notes: Path) -> None:
    carry_out(notes, *command(notes, "two", "--kimg", 0.024, "--devices", 2, "--batch-size", 4))
    ranks = [told(notes, rank) for rank in (0, 1)]
    assert [line["seen"] for line in ranks[0]] == [line["seen"] for line in ranks[1]] == [8, 16, 24]
    assert [line["weights"] for line in ranks[0]] == [line["weights"] for line in ranks[1]]
    assert len({line["weights"] for line in ranks[0]}) == 3
    together = [one["pictures"] + other["pictures"] for one, other in zip(*ranks, strict=True)]
    for rank in (0, 1):
        (notes / f"{rank}.jsonl").unlink()
    carry_out(notes, *command(notes, "one", "--kimg", 0.024, "--batch-size", 8))
    assert [line["pictures"] for line in told(notes, 0)] == together
    assert told(notes, 1) == []


@pytest.mark.timeout(900)
def test_figures_are_of_pictures_that_both_drew_and_equal_those_of_one_process(notes: Path) -> None:
    """At the end of the run, 24 pictures: the first process's snapshot measured anew by one process alone."""
    arguments = list(command(notes, "two", "--kimg", 0.016, "--devices", 2, "--batch-size", 4))
    arguments.remove("--no-figures")
    carry_out(notes, *arguments, "--set", "schedule.evaluation_count=24")
    run = RunFolder(notes.parent / "two")
    record = read_run(run.path).results[-1]
    network = load_generator(run.snapshot(16))
    images = load_image_set(FACES, image_size=32)
    drawn = sample_images(network, range(1_000_000, 1_000_024), ground="white")
    alone = prepare_measure(as_seen(images.images))(drawn)
    measured = {name: metric.value for name, metric in alone.metrics.items() if metric.measured}
    assert len(measured) > 5
    assert {name: record.value(name) for name in measured} == pytest.approx(measured, rel=1e-3, abs=1e-4)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dies", [1, 0])
def test_where_one_dies_the_other_stops_with_a_sentence_and_the_run_goes_on(dies: int, notes: Path) -> None:
    run = notes.parent / "run"
    with started(*command(notes, "run", "--kimg", 100000, "--devices", 2), program=spied(notes)) as process:
        until(lambda: RunFolder(run).checkpoint.with_name("previous.ckpt").exists() and told(notes, 1), process)
        os.kill(told(notes, dies)[0]["pid"], signal.SIGKILL)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == (1 if dies == 1 else -signal.SIGKILL), output
    sentences = [line for line in output.splitlines() if line.startswith("sase-gan: ")]
    assert len(sentences) == 1, output
    assert "another process of this run has ended, so this one stops too; what was checkpointed is safe" in sentences[0]
    assert "Traceback" not in output
    begun = seen(run)
    assert begun % 16 == 0
    carry_out(notes, "train", "--resume", run, "--no-figures", "--kimg", (begun + 16) / 1000, "--devices", 2)
    assert seen(run) == begun + 16
    carry_out(notes, "train", "--resume", run, "--no-figures", "--kimg", (begun + 24) / 1000)
    assert seen(run) == begun + 24
    rows = [int(row["images_seen"]) for row in RunFolder(run).rows()]
    assert rows == list(range(8, begun + 25, 8))
