import json
import shlex
from pathlib import Path

import pytest

from sase_gan.errors import DataError, UsageError
from sase_gan.runs.folder import RunFolder, images_of, is_run, kimg, next_free, open_run


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "faces-001")
    run.create()
    run.config.write_text("seed: 0\n")
    return run


def add_snapshot(run: RunFolder, images_seen: int) -> Path:
    run.snapshot(images_seen).mkdir(parents=True)
    run.grid(images_seen).write_bytes(b"picture")
    return run.snapshot(images_seen)


def record(images_seen: int) -> dict:
    return {"model": {"images_seen": images_seen, "snapshot": kimg(images_seen)}, "metrics": {}}


@pytest.mark.parametrize(
    ("images", "name"),
    [
        (0, "000000kimg"),
        (12_000, "000012kimg"),
        (12_345, "000012.345kimg"),
        (40, "000000.040kimg"),
        (999_999_999, "999999.999kimg"),
    ],
)
def test_names_by_images_seen_and_back(images, name):
    assert kimg(images) == name
    assert images_of(name) == images


@pytest.mark.parametrize("name", ["12kimg", "000012", "000012kimg.old", ".000012kimg", "000012.34kimg", "best"])
def test_other_names_are_no_snapshots(name):
    assert images_of(name) is None


def test_created_folder_explains_itself(run):
    assert "faces-001" in (run.path / "README.md").read_text()
    assert all((run.path / name).is_dir() for name in ("grids", "snapshots", "checkpoints"))
    assert is_run(run.path)
    assert open_run(str(run.path)).path == run.path


@pytest.mark.parametrize("trained", [True, False])
def test_commands_of_the_explanation_name_the_run_from_where_it_was_begun(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Path("my runs") / "faces {1}")
    run.create(trained=trained)
    text = (tmp_path / "my runs" / "faces {1}" / "README.md").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("    sase-gan ")]
    verbs = ["train", "sample", "evaluate"] if trained else ["sample", "evaluate"]
    assert [words[1] for words in commands] == verbs
    assert all(str(run.path) in words for words in commands)


def test_a_second_run_is_not_begun_in_the_same_folder(run):
    with pytest.raises(UsageError, match="holds a run already; choose another --out, or go on with --resume"):
        run.create()


def test_folder_without_a_run_is_refused(tmp_path):
    assert not is_run(tmp_path)
    with pytest.raises(DataError, match=r"holds no run \(no config.yaml\)"):
        open_run(tmp_path)


def test_snapshots_are_found_in_order_and_strange_folders_passed_by(run):
    for images in (20_000, 0, 1500):
        add_snapshot(run, images)
    (run.path / "snapshots" / ".000030kimg.x1").mkdir()
    (run.path / "snapshots" / "bestkimg").mkdir()
    assert list(run.snapshots()) == [0, 1500, 20_000]
    assert run.snapshots()[1500] == run.path / "snapshots" / "000001.500kimg"


def test_chosen_snapshot_is_the_best_then_the_last(run):
    with pytest.raises(DataError, match="has no snapshot yet; let the run go on"):
        run.chosen_snapshot()
    early, late = add_snapshot(run, 1000), add_snapshot(run, 2000)
    assert run.chosen_snapshot() == late
    run.best.write_text(json.dumps({"snapshot": early.name}))
    assert run.chosen_snapshot() == early
    run.best.write_text(json.dumps({"snapshot": kimg(7000)}))  # pruned or forgotten
    assert run.chosen_snapshot() == late


def test_records_are_kept_in_order_and_numbers_must_be_numbers(run):
    assert run.records() == []
    run.append_record(record(0))
    run.append_record(record(1000))
    assert [r["model"]["images_seen"] for r in run.records()] == [0, 1000]
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.append_record({"value": float("nan")})
    assert len(run.records()) == 2


def test_what_lies_beyond_a_checkpoint_is_forgotten_and_the_rest_kept(run):
    run.metrics.write_text("images_seen,seconds,d_real\n400,1.0,0.5\n800,2.0,0.4\n1200.0,3.0,0.3\n")
    for images in (0, 800, 1200):
        run.append_record(record(images))
        add_snapshot(run, images)
    run.forget_after(800)
    assert run.metrics.read_text() == "images_seen,seconds,d_real\n400,1.0,0.5\n800,2.0,0.4\n"
    assert [r["model"]["images_seen"] for r in run.records()] == [0, 800]
    assert list(run.snapshots()) == [0, 800]
    assert sorted(path.name for path in (run.path / "grids").iterdir()) == ["000000.800kimg.png", "000000kimg.png"]


def test_forgetting_in_a_run_without_rows_writes_nothing(run):
    before = sorted(run.path.rglob("*"))
    run.forget_after(0)
    assert sorted(run.path.rglob("*")) == before


def test_next_free_name_counts_up(tmp_path):
    assert next_free(tmp_path, "faces") == tmp_path / "faces-001"
    (tmp_path / "faces-001").mkdir()
    assert next_free(tmp_path, "faces") == tmp_path / "faces-002"
