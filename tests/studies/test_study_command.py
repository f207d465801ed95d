"""A study of seconds through the real command line: trained, measured, stopped, gone on with."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from sase_gan.runs.folder import RunFolder
from sase_gan.snapshot import snapshot_digest
from sase_gan.studies.generation import train
from sase_gan.studies.spec import Cell
from tests.processes import invoke

FACES = Path(__file__).resolve().parents[2] / "data" / "emoji-faces"
SPEC = {
    "title": "Tiny",
    "preset": "smoke/low_shot",
    "sets": {"faces": None, "pandas": None},
    "seeds": [0],
    "budget": {"images": 8},
    "count": 16,
    "arms": {
        "plain": {"generator": {"norm": "batch"}},
        "finished": {"generator": {"norm": "batch"}, "finish": {"enabled": True, "strength": 0.6}},
        "instant": {"preset": "smoke/instant", "image_size": 32, "recombination": {"even": False}},
    },
}


@pytest.fixture(scope="module")
def carried_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    (folder / "faces").mkdir()
    for path in sorted(FACES.glob("*.png"))[:20]:
        (folder / "faces" / path.name).write_bytes(path.read_bytes())
    return folder, study(folder)


def study(folder, *more, code=0):
    place = f"faces={folder / 'faces'}"
    return invoke(
        "study", folder / "tiny.yaml", "--out", folder / "out", "--jobs", "1", "--set-path", place, *more, code=code
    )


def test_the_table_is_told_and_written(carried_out):
    folder, output = carried_out
    assert "pandas is left out" in output
    assert "| plain | 1 | 8 |" in output
    table = json.loads((folder / "out" / "study.json").read_text())
    rows = {row["arm"]: row for row in table["sets"][0]["rows"]}
    assert rows["plain"]["images_seen"] == 8
    assert rows["plain"]["cpu_seconds"] > 0
    assert rows["instant"]["images_seen"] is None
    assert rows["instant"]["parameters"] == 0
    entry = rows["instant"]["entries"]["fd_efflite0"]
    assert entry["difference"] < 0  # eight images teach a network nothing
    assert rows["finished"]["entries"]["fd_efflite0"]["difference"] < 0  # measured are its finished pictures
    assert 0 <= rows["plain"]["entries"]["gates_inside"]["mean"] <= 1
    assert rows["instant"]["entries"]["gates_inside"]["mean"] is None
    assert table["sets"][0]["levels"]["fd_mid_reference_efflite0"] > 0
    assert (folder / "out" / "study.html").read_text().count("data:image/") == 3


def test_a_second_call_repeats_nothing(carried_out):
    folder, _ = carried_out
    before = {path: path.stat().st_mtime_ns for path in folder.glob("out/cells/*/cell.json")}
    output = study(folder)
    assert "0 of 3 trainings" in output
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_dry_run_lists_the_cells_and_writes_nothing(carried_out, tmp_path):
    folder, _ = carried_out
    output = study(folder, "--out", tmp_path / "none", "--arms", "plain", "--dry-run")
    assert "faces-plain-0: preset smoke/low_shot" in output
    assert "1 trainings; dry run" in output
    assert not (tmp_path / "none").exists()
    assert "the study's arms are" in study(folder, "--arms", "nobody", code=2)


def test_a_stopped_cell_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    schedule = {"total_images": 16, "checkpoint_images": 4}
    cell = Cell("faces", "plain", 0, str(FACES), "smoke/low_shot", {}, schedule, 16)

    class PowerCut(Exception):
        pass

    from sase_gan.runs.checkpoints import Checkpoints

    save = Checkpoints._save

    def cut(self, trainer, module):
        save(self, trainer, module)
        if module.images_seen >= 8:
            raise PowerCut

    monkeypatch.setattr(Checkpoints, "_save", cut)
    with pytest.raises(PowerCut):
        train(cell, tmp_path / "cut", "cpu", 1)
    monkeypatch.setattr(Checkpoints, "_save", save)
    assert clock(tmp_path / "cut")["images_seen"] == 8
    assert not train(cell, tmp_path / "cut", "cpu", 1)
    assert not train(cell, tmp_path / "whole", "cpu", 1)
    assert clock(tmp_path / "cut")["images_seen"] == 16
    snapshots = [snapshot_digest(RunFolder(tmp_path / name / "run").snapshot(16)) for name in ("cut", "whole")]
    assert snapshots[0] == snapshots[1]


def clock(folder):
    return torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)["clock"]
