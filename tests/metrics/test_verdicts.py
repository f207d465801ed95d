"""Every sentence of the verdicts, on both sides of every limit, as it was read and found right: `golden/verdicts.yaml`.

`python -m tests.metrics.test_verdicts` writes the file anew when a sentence is meant to change; read the difference.
"""

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import yaml

from sase_gan.metrics import verdicts
from sase_gan.metrics.verdicts import CopyScores, HonestBaseline, RegionScores, copying_verdict, patchwork_verdict

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "verdicts.yaml"
HONEST = HonestBaseline(CopyScores(0.0625, 1.0, 70.0), CopyScores(0.0625, 0.015625, 8.0))
GOOD = {"kid_efflite0": 0.001, "fd_mid_efflite0": 20.0, "fd_mid_reference_efflite0": 25.0}
PATCHES = {"patch_swd": 30.0, "patch_swd_reference": 40.0}


def copying(share: float, ratio: float, authentic: float, reals: int = 10, fakes: int = 20, **more: Any) -> Any:
    return copying_verdict(CopyScores(share, ratio, authentic), HONEST, reals, fakes, **more)


def patchwork(share: float, above: float, rank: float, honest: float = 0.125, reals: int = 50, fakes: int = 50) -> Any:
    return patchwork_verdict(RegionScores(share, above, rank, "patchwork_share", 3.0, 0.25), honest, reals, fakes)


def quality(**figures: float) -> Any:
    return verdicts.quality_verdict(verdicts.quality_by_space(figures.get))


def diversity(expected: float | None = None, **figures: float) -> Any:
    return verdicts.diversity_verdict({f"{name}_efflite0": one for name, one in figures.items()}.get, expected)


CASES: dict[str, Callable[[], Any]] = {
    "copying, few reals": lambda: copying(1, 0, 0, reals=9),
    "copying, few fakes": lambda: copying(1, 0, 0, fakes=19),
    "copying, half are near": lambda: copying(0.5, 1, 65),
    "copying, less than half": lambda: copying(0.4999, 1, 65),
    "copying, authentic at the limit": lambda: copying(0.1, 1, 10),
    "copying, authentic below": lambda: copying(0.1, 1, 9.99, space="pixels"),
    "copying, ratio at the red limit": lambda: copying(0.1, 0.8, 65),
    "copying, ratio below": lambda: copying(0.1, 0.79, 65),
    "copying, share at the amber limit": lambda: copying(0.25, 1, 65),
    "copying, share above": lambda: copying(0.26, 1, 65, space="pixels"),
    "copying, ratio at the amber limit": lambda: copying(0.1, 1 - 3 / 64, 65),
    "copying, ratio under it": lambda: copying(0.1, 0.95, 65),
    "copying, none": lambda: copying(0.1, 1, 65),
    "joint, the first of equals": lambda: verdicts.joint_verdict([copying(0.1, 1, 65), copying(0.2, 1, 65)]),
    "joint, the severest": lambda: verdicts.joint_verdict(
        [copying(0.26, 1, 65), copying(0.5, 1, 65), copying(0, 1, 9)]
    ),
    "patchwork, few reals": lambda: patchwork(1, 1, 1, reals=9),
    "patchwork, few fakes": lambda: patchwork(1, 1, 1, fakes=19),
    "patchwork, fewest": lambda: patchwork(0.1, 0.05, 0.5, reals=10, fakes=20),
    "patchwork, half are": lambda: patchwork(0.3, 0.5, 0.5),
    "patchwork, less than half": lambda: patchwork(0.3, 0.49, 0.5),
    "patchwork, rank at the limits": lambda: patchwork(0.25, 0.05, 0.8),
    "patchwork, rank and a small share": lambda: patchwork(0.24, 0.05, 0.8),
    "patchwork, rank just under": lambda: patchwork(0.25, 0.05, 0.79),
    "patchwork, few pictures need a higher rank": lambda: patchwork(0.25, 0.05, 0.8, reals=10, fakes=20),
    "patchwork, rank but no more than real ones": lambda: patchwork(0.175, 0.05, 0.79),
    "patchwork, pictures above chance": lambda: patchwork(0.2, 0.19, 0.5),
    "patchwork, pictures at chance": lambda: patchwork(0.2, 0.17, 0.5),
    "patchwork, none": lambda: patchwork(0.1, 0.05, 0.5),
    "quality, nothing measured": lambda: quality(),
    "quality, one space": lambda: quality(kid_efflite0=0.5),
    "quality, all good": lambda: quality(**GOOD, **PATCHES),
    "quality, lone red": lambda: quality(**{**GOOD, "kid_efflite0": 0.5}, **PATCHES),
    "quality, supported red": lambda: quality(**{**GOOD, "kid_efflite0": 0.5, "fd_mid_efflite0": 500.0}, **PATCHES),
    "quality, red patches": lambda: quality(**GOOD, patch_swd=400.0, patch_swd_reference=40.0),
    "quality, one amber": lambda: quality(**{**GOOD, "fd_mid_efflite0": 35.0}, **PATCHES),
    "quality, references of nothing": lambda: quality(**{**GOOD, "fd_mid_reference_efflite0": 0.0}),
    "diversity, nothing measured": lambda: diversity(),
    "diversity, variety alone": lambda: diversity(div=0.97),
    "diversity, as it should be": lambda: diversity(div=1.0, coverage=0.95, precision=0.8),
    "diversity, coverage is worse": lambda: diversity(div=1.0, coverage=0.2),
    "diversity, expected coverage": lambda: diversity(0.5, div=0.6, coverage=0.6, precision=0.8),
    "diversity, coverage of few": lambda: diversity(0.5, coverage=0.2, precision=0.8),
    "diversity, coverage does not count": lambda: diversity(div=0.97, coverage=0.0, precision=0.02),
    "diversity, none lie among the reals": lambda: diversity(coverage=0.0, precision=0.004),
    "diversity, at the least precision": lambda: diversity(coverage=0.5, precision=verdicts.LEAST_PRECISION),
    "one picture, no quality": lambda: verdicts.single_quality(None, 20),
    "one picture, few for quality": lambda: verdicts.single_quality(20, 9),
    "one picture, quality at the limit": lambda: verdicts.single_quality(40, 10),
    "one picture, quality amber": lambda: verdicts.single_quality(40.5, 10),
    "one picture, quality red": lambda: verdicts.single_quality(120.5, 10),
    "one picture, no diversity": lambda: verdicts.single_diversity(None, 20),
    "one picture, few for diversity": lambda: verdicts.single_diversity(1, 9),
    "one picture, diversity at the limit": lambda: verdicts.single_diversity(0.3, 10),
    "one picture, diversity amber": lambda: verdicts.single_diversity(0.12, 10),
    "one picture, diversity red": lambda: verdicts.single_diversity(0.11, 10),
    "one picture, few for copying": lambda: verdicts.single_copying(1, 3),
    "one picture, few and copies": lambda: verdicts.single_copying(1, 2),
    "one picture, copying at the limit": lambda: verdicts.single_copying(1, 10),
    "one picture, copying amber": lambda: verdicts.single_copying(2, 10),
    "one picture, copying red": lambda: verdicts.single_copying(5, 10),
}


def told(name: str) -> list[Any]:
    colour, rule, number, text = astuple(CASES[name]())[:4]
    return [colour, rule, None if number is None else round(float(number), 6), text]


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_is_what_was_read(name: str) -> None:
    assert told(name) == yaml.safe_load(GOLDEN.read_text())[name]


def test_spaces_disagree_when_they_are_two_colours_apart() -> None:
    spaces = verdicts.quality_by_space({**GOOD, "fd_mid_efflite0": 500.0, **PATCHES}.get)
    assert [space.space for space in spaces] == ["pooled features", "layout-aware features", "small patches"]
    assert [space.colour for space in spaces] == ["green", "red", "green"]
    assert [space.rule.partition(":")[0] for space in spaces] == [
        "kid_efflite0",
        "fd_mid_efflite0 / fd_mid_reference_efflite0",
        "patch_swd / patch_swd_reference",
    ]
    assert verdicts.disagreement(spaces) == (
        "The feature spaces disagree: by pooled features the generated pictures are close to the real ones, by "
        "layout-aware features they are far from them. Trust your eyes and the picture grids more than any one number."
    )
    assert verdicts.disagreement(spaces[1:2]) is None
    assert verdicts.disagreement(verdicts.quality_by_space({**GOOD, "fd_mid_efflite0": 35.0}.get)) is None


if __name__ == "__main__":
    rows = {name: told(name) for name in CASES}
    GOLDEN.write_text(yaml.safe_dump(rows, sort_keys=False, allow_unicode=True, width=120))
