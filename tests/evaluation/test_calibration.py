from pathlib import Path

import pytest
import torch
from torch import Tensor

from sase_gan.datasets.images import load_image_set
from sase_gan.evaluation import calibration as bench_metrics


@pytest.fixture(scope="module")
def faces() -> Tensor:
    path = Path(__file__).parents[2] / "data" / "emoji-faces"
    return load_image_set(path, image_size=32, max_images=48).images


@pytest.mark.parametrize("name", [*bench_metrics.NEW_PICTURES, *bench_metrics.COPIES])
def test_every_disturbance_gives_pictures_of_the_same_shape(faces: Tensor, name: str) -> None:
    change = {**bench_metrics.NEW_PICTURES, **bench_metrics.COPIES}[name]
    before = faces.clone()
    after = change(faces)
    assert after.dtype == torch.uint8
    assert after.shape == faces.shape
    assert torch.equal(faces, before)
    same = name in ("held-out half, as it is", "exact copies")
    assert torch.equal(after, faces) == same


def test_disturbances_do_what_they_say(faces: Tensor) -> None:
    moved = bench_metrics.shifted(faces, 1 / 16)
    assert torch.equal(moved[..., 2:, 2:], faces[..., :-2, :-2])
    grey = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    assert bench_metrics.brightened(grey, 1.2).unique().tolist() == [120]
    assert bench_metrics.zoomed(grey, 0.5).unique().tolist() == [100]
    noise = bench_metrics.noisy(grey.expand(200, -1, -1, -1), 10).float() - 100
    assert noise.std().item() == pytest.approx(10, rel=0.03)
    pair = torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 200.0)]).to(torch.uint8)
    assert bench_metrics.blended(pair).unique().tolist() == [100]
    kinds = bench_metrics.few_kinds(faces, 1 / 12).float().flatten(1)
    assert len(kinds) == len(faces)
    assert (torch.cdist(kinds, kinds).argsort(1)[:, :12] % 4 == torch.arange(48)[:, None] % 4).all()


@pytest.mark.slow
def test_calibration_on_drawn_faces_calls_copies_red(faces: Tensor) -> None:
    honest, copies = bench_metrics.calibrate(faces)
    assert honest[0].colours["red"] == 0
    assert honest[0].colours["green"] > 0.9
    colours = {item.name: item.colour for item in copies}
    assert {colours[name] for name in bench_metrics.MUST_BE_RED} == {"red"}
    text = bench_metrics.calibration_table(honest, copies)
    assert text.count("\n") == 3 + len(bench_metrics.COPIES)
    assert "| exact copies | 0 / 0.00 / 1.00 | 0 / 0.00 / 1.00 | red |" in text


@pytest.mark.slow
def test_ladder_tells_honest_pictures_from_copies(faces: Tensor) -> None:
    rungs = list(bench_metrics.ladder(faces))
    colours = {rung.name: rung.record.colour("copying") for rung in rungs}
    assert colours["held-out half, as it is"] != "red"
    assert {colours[name] for name in bench_metrics.MUST_BE_RED} == {"red"}
    assert bench_metrics.ladder_table(rungs).count("\n") == 2 + len(rungs)
