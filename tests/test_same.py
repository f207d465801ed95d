"""The comparison behind `make same` notices what it must, and nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.same import KINDS, compare, equal, flat, table

FIGURES = {"seconds": 3.5, "command": "a", "metrics": {"fid": {"value": 0.25, "meaning": "Near is good."}}}


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders that hold the same, one file of each kind."""
    base = tmp_path / "base"
    base.mkdir()
    save_file({"weight": torch.arange(6.0), "mask": torch.tensor([True, False])}, base / "model.safetensors")
    state = {"optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "rate": 0.1}]}
    clock = {"clock": {"images_seen": 4, "cpu_seconds": 2.5}, "schedule": {"cpu_seconds": 60.0}}
    weights = {"bias": torch.ones(2), "average.n_averaged": torch.tensor(1)}
    torch.save({"state_dict": weights, **state, **clock}, base / "last.ckpt")
    Image.fromarray(np.full((4, 5, 3), 9, np.uint8)).save(base / "grid.png")
    (base / "metrics.json").write_text(json.dumps(FIGURES))
    (base / "metrics.csv").write_text("images_seen,seconds,loss\n4,0.5,1.25\n")
    (base / "config.json").write_text(json.dumps({"network": {"width": 4, "mode": "old"}}))
    shutil.copytree(base, tmp_path / "new")
    return base, tmp_path / "new"


def differing(sides: tuple[Path, Path], **options: Any) -> dict[str, list[str]]:
    return {kind: found.differences for kind, found in compare(*sides, **options).items() if found.differences}


def change_json(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_equal_folders_have_no_difference(sides: tuple[Path, Path]) -> None:
    findings = compare(*sides)
    assert list(findings) == list(KINDS)
    assert all(found.items > 0 and not found.differences and not found.notes for found in findings.values())
    assert table(findings).count("equal") == len(KINDS)


def test_a_changed_weight_is_found(sides: tuple[Path, Path]) -> None:
    weights = load_file(sides[1] / "model.safetensors")
    weights["weight"][2] = torch.nextafter(weights["weight"][2], torch.tensor(9.0))
    save_file(weights, sides[1] / "model.safetensors")
    found = differing(sides)
    assert list(found) == ["weights"]
    assert found["weights"][0].startswith("model.safetensors: weight: 1 of 6 values differ")
    assert "DIFFERENT: model.safetensors: weight" in table(compare(*sides))


@pytest.mark.parametrize("part", ["step", "rate"])
def test_a_changed_optimiser_state_is_found(sides: tuple[Path, Path], part: str) -> None:
    content = torch.load(sides[1] / "last.ckpt", weights_only=True)
    if part == "step":
        content["optimizer_states"][0]["state"][0]["step"] += 1
    else:
        content["optimizer_states"][0]["rate"] = 0.2
    torch.save(content, sides[1] / "last.ckpt")
    assert list(differing(sides)) == ["checkpoints"]


@pytest.mark.parametrize(
    ("part", "name", "found"),
    [
        ("clock", "cpu_seconds", False),
        ("clock", "images_seen", True),
        ("schedule", "cpu_seconds", True),
        ("state_dict", "average.n_averaged", False),
        ("state_dict", "bias", True),
    ],
)
def test_of_a_checkpoint_only_the_processor_time_and_a_counter_nobody_reads_may_differ(
    sides: tuple[Path, Path], part: str, name: str, found: bool
) -> None:
    content = torch.load(sides[1] / "last.ckpt", weights_only=True)
    content[part][name] += 1
    torch.save(content, sides[1] / "last.ckpt")
    assert list(differing(sides)) == ["checkpoints"] * found


def test_a_tensor_on_one_side_only_is_found(sides: tuple[Path, Path]) -> None:
    save_file({"weight": torch.arange(6.0)}, sides[1] / "model.safetensors")
    assert differing(sides) == {"weights": ["model.safetensors: mask: only at BASE"]}


def test_a_changed_pixel_is_found(sides: tuple[Path, Path]) -> None:
    pixels = np.full((4, 5, 3), 9, np.uint8)
    pixels[1, 2, 0] = 10
    Image.fromarray(pixels).save(sides[1] / "grid.png")
    found = differing(sides)
    assert list(found) == ["pictures"]
    assert "1 of 60 values differ, by up to 1" in found["pictures"][0]


def test_a_picture_is_compared_by_pixels_not_by_bytes(sides: tuple[Path, Path]) -> None:
    with Image.open(sides[0] / "grid.png") as image:
        image.save(sides[1] / "grid.png", compress_level=0)
    assert (sides[0] / "grid.png").read_bytes() != (sides[1] / "grid.png").read_bytes()
    assert differing(sides) == {}


def test_a_changed_figure_is_found(sides: tuple[Path, Path]) -> None:
    change_json(sides[1] / "metrics.json", lambda record: record["metrics"]["fid"].update(value=0.26))
    assert differing(sides) == {"figures": ["metrics.json: metrics/fid/value: 0.25 became 0.26"]}


def test_a_lost_figure_is_found_and_a_new_field_is_listed(sides: tuple[Path, Path]) -> None:
    change_json(sides[1] / "metrics.json", lambda record: record["metrics"]["fid"].update(group="distance"))
    assert differing(sides) == {}
    assert list(compare(*sides)["figures"].notes) == ["new: group"]
    change_json(sides[1] / "metrics.json", lambda record: record["metrics"]["fid"].pop("value"))
    assert differing(sides) == {"figures": ["metrics.json: metrics/fid/value: only at BASE"]}


def test_changed_times_and_commands_are_no_difference(sides: tuple[Path, Path]) -> None:
    change_json(sides[1] / "metrics.json", lambda record: record.update(seconds=9.0, command="b", created="later"))
    (sides[1] / "metrics.csv").write_text("images_seen,seconds,loss\n4,0.7,1.25\n")
    assert differing(sides) == {}


def test_a_changed_loss_and_a_lost_row_are_found(sides: tuple[Path, Path]) -> None:
    (sides[1] / "metrics.csv").write_text("images_seen,seconds,loss\n4,0.5,1.26\n")
    assert differing(sides) == {"training": ["metrics.csv: row 0/loss: '1.25' became '1.26'"]}
    for side in sides:
        (side / "metrics.csv").write_text("images_seen,loss\n4,1\n8,2\n")
    (sides[1] / "metrics.csv").write_text("images_seen,loss\n4,1\n")
    assert list(differing(sides)) == ["training"]


def test_changed_sentences_are_listed_only_on_request(sides: tuple[Path, Path]) -> None:
    change_json(sides[1] / "metrics.json", lambda record: record["metrics"]["fid"].update(meaning="Low is good."))
    assert list(differing(sides)) == ["figures"]
    assert differing(sides, words=True) == {}
    assert compare(*sides, words=True)["figures"].notes.total() == 1


def test_a_gone_setting_is_listed_and_a_changed_one_is_a_difference(sides: tuple[Path, Path]) -> None:
    change_json(sides[1] / "config.json", lambda config: config["network"].pop("mode"))
    assert differing(sides) == {}
    assert list(compare(*sides)["settings"].notes) == ["gone: network/mode='old'"]
    change_json(sides[1] / "config.json", lambda config: config["network"].update(width=8))
    assert differing(sides) == {"settings": ["config.json: network/width: 4 became 8"]}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.safetensors", "weights"),
        ("last.ckpt", "checkpoints"),
        ("grid.png", "pictures"),
        ("metrics.json", "figures"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_file_on_one_side_only_is_found(sides: tuple[Path, Path], name: str, kind: str, place: int) -> None:
    (sides[place] / name).unlink()
    assert differing(sides) == {kind: [f"{name}: only {'here' if place == 0 else 'at BASE'}"]}


def test_other_files_on_one_side_only_are_listed(sides: tuple[Path, Path]) -> None:
    (sides[0] / "results.jsonl").write_text("{}\n")
    (sides[0] / "report.html").write_text("<p>")
    findings = compare(*sides)
    assert differing(sides) == {}
    assert [list(found.notes) for found in findings.values() if found.notes] == [["results.jsonl: only at BASE"]]


def test_a_kind_of_which_nothing_was_compared_is_a_difference(sides: tuple[Path, Path]) -> None:
    for side in sides:
        (side / "last.ckpt").unlink()
    assert differing(sides) == {"checkpoints": ["no checkpoints were compared"]}


def test_tables_of_evaluations_are_left_alone(sides: tuple[Path, Path]) -> None:
    for side, value in zip(sides, "12", strict=True):
        (side / "evaluation").mkdir()
        (side / "evaluation" / "metrics.csv").write_text(f"metric,value\nfid,{value}\n")
    assert differing(sides) == {}


def test_leaves_are_equal_to_the_bit() -> None:
    assert equal(1, 1.0)
    assert equal(float("nan"), float("nan"))
    assert equal(torch.tensor([float("nan")]), torch.tensor([float("nan")]))
    assert not equal(0.0, -0.0)
    assert not equal(True, 1)
    assert not equal(None, 0)
    assert not equal(torch.zeros(2), torch.zeros(2, dtype=torch.float64))
    assert flat({"a": [1, {"b": None}]}) == {"a/length": 2, "a/0": 1, "a/1/b": None}
