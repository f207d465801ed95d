"""Are pictures put together from training pictures: figures against honest levels, verdict, record, pictures."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.colouring import coloured_parts, part_colour
from sase_gan.evaluation.region_pictures import MOST_SOURCES, write_match
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.figures import figures_in_group
from sase_gan.metrics.measuring import RegionMatch
from sase_gan.metrics.records import EvaluationRecord, Pictures, parse_record
from sase_gan.metrics.region_search import Explained, Region
from sase_gan.metrics.regions import RegionReference, RegionResult, check_regions, estimate_of, values_of
from sase_gan.metrics.verdicts import RegionScores, patchwork_verdict
from tests.metrics.region_pictures import SIDE, halves, quarters, textures

TRAINING = textures(24)
HELD_OUT = textures(20, seed=1)
COUNT = 20


def planted(kind: str) -> Tensor:
    """Twenty pictures of a kind, made from the training pictures and held-out ones."""
    source = torch.Generator().manual_seed(3)
    chosen = [torch.randperm(len(TRAINING), generator=source)[:4] for _ in range(COUNT)]
    match kind:
        case "halves":
            return torch.stack([halves(*TRAINING[rows[:2]]) for rows in chosen])
        case "quarters":
            return torch.stack([quarters(TRAINING[rows]) for rows in chosen])
        case "half copies":
            return torch.stack([halves(TRAINING[rows[0]], HELD_OUT[i]) for i, rows in enumerate(chosen)])
        case "changed copies":
            noise = 5 * torch.randn(COUNT, 3, SIDE, SIDE, generator=source)
            return (0.8 * TRAINING[:COUNT].float() + 20 + noise).round().clamp(0, 255).to(torch.uint8)
    return HELD_OUT


@pytest.fixture(scope="module")
def reference() -> RegionReference:
    return RegionReference(TRAINING)


@pytest.fixture(scope="module")
def results(reference: RegionReference) -> dict[str, RegionResult]:
    kinds = ("held out", "halves", "quarters", "half copies", "changed copies")
    return {kind: check_regions(planted(kind), reference) for kind in kinds}


def test_held_out_pictures_are_green(results: dict[str, RegionResult]) -> None:
    result = results["held out"]
    assert result.verdict.colour == "green"
    assert result.scores.share < 0.05
    assert not result.above.any()


@pytest.mark.parametrize(
    ("kind", "share", "regions", "alone"),
    [("halves", 1.0, 2, 0), ("quarters", 1.0, 4, 0), ("half copies", 0.5, 1, 1), ("changed copies", 1.0, 1, 1)],
)
def test_planted_pictures_are_all_told_from_held_out_ones(
    results: dict[str, RegionResult], kind: str, share: float, regions: int, alone: float
) -> None:
    result = results[kind]
    assert result.verdict.colour == "red"
    assert result.above.all()
    assert values_of(result.explained, "patchwork_share").min() > values_of(result.own, "patchwork_share").max()
    assert result.scores.share == pytest.approx(share, abs=0.06)
    assert result.scores.regions == pytest.approx(regions, abs=0.4)
    # What tells a patchwork from a changed copy: how much of it one training picture explains.
    assert result.scores.alone == alone


def test_every_figure_has_value_interval_and_honest_level(results: dict[str, RegionResult]) -> None:
    result = results["quarters"]
    expected = {
        "patchwork_share": 1.0,
        "further_share": 0.73,
        "largest_region": 0.26,
        "region_share": 0.26,
        "region_count": 4.0,
        "region_sources": 4.0,
        "patchwork_pictures": 1.0,
        "patchwork_rank": 1.0,
    }
    assert {item.name for item in figures_in_group("regions")} == set(expected)
    for base, value in expected.items():
        estimate = estimate_of(base, result)
        assert estimate.value == pytest.approx(value, abs=0.04 if value < 2 else 0.3), base
        assert estimate.interval is not None
        assert estimate.interval.low <= estimate.value <= estimate.interval.high
        assert estimate.level is not None
        assert estimate.level.mean < 0.6


def test_a_set_whose_own_pictures_are_patchworks_excuses_patchworks() -> None:
    parts = textures(6, seed=5)
    source = torch.Generator().manual_seed(4)
    pictures = [quarters(parts[torch.randperm(6, generator=source)[:4]]) for _ in range(60)]
    result = check_regions(torch.stack(pictures[:30]), RegionReference(torch.stack(pictures[30:])))
    # Held out and built like the set: all of it explained, and nothing wrong with that.
    assert result.scores.share > 0.5
    assert values_of(result.own, "patchwork_share").mean() > 0.5
    assert result.verdict.colour == "green"


def test_one_training_picture_has_no_honest_level() -> None:
    with pytest.raises(NotApplicable, match="there is 1"):
        RegionReference(TRAINING[:1])


# --- the verdict ------------------------------------------------------------------------------------------------------


def scores(share: float = 0.1, above: float = 0.05, rank: float = 0.5) -> RegionScores:
    return RegionScores(share, above, rank, "patchwork_share", regions=3.0, alone=0.25)


@pytest.mark.parametrize(
    ("found", "colour", "rule"),
    [
        (scores(), "green", "no rule"),
        (scores(above=0.5), "red", "patchwork_pictures >= 0.5"),
        (scores(share=0.3, rank=0.8), "red", "patchwork_rank (of patchwork_share) >= 0.8 with"),
        # Nearly always more than real ones, but little in all.
        (scores(share=0.2, rank=0.9), "amber", "patchwork_rank (of patchwork_share) > 0.622"),
        (scores(share=0.12, rank=0.9), "green", "no rule"),
        (scores(share=0.2, above=0.2), "amber", "patchwork_pictures > 0.142"),
        (scores(share=0.2, above=0.14), "green", "no rule"),
    ],
)
def test_the_first_rule_that_applies_decides(found: RegionScores, colour: str, rule: str) -> None:
    verdict = patchwork_verdict(found, 0.1, 100, 100)
    assert verdict.colour == colour
    assert rule in verdict.rule
    assert "real pictures share 10%" in verdict.text


def test_with_few_pictures_chance_reaches_farther() -> None:
    found = scores(share=0.3, rank=0.82)
    assert patchwork_verdict(found, 0.1, 100, 100).colour == "red"
    assert patchwork_verdict(found, 0.1, 10, 20).colour == "green"


@pytest.mark.parametrize(("reals", "fakes"), [(9, 100), (100, 19)])
def test_too_few_pictures_give_no_verdict(reals: int, fakes: int) -> None:
    verdict = patchwork_verdict(scores(above=1.0), 0.0, reals, fakes)
    assert verdict.colour == "grey"
    assert f"{reals} training and {fakes} generated" in verdict.text


# --- pictures and record ----------------------------------------------------------------------------------------------


def match_of(labels: Tensor, regions: list[Region]) -> RegionMatch:
    return RegionMatch(1, Explained(tuple(regions), labels.to(torch.int16)), [region.source for region in regions])


def written(match: RegionMatch) -> tuple[Any, dict[str, Tensor]]:
    pictures: dict[str, Tensor] = {}

    def write(name: str, image: Tensor) -> str:
        pictures[name] = image
        return f"samples/{name}"

    names = [f"r{index}" for index in range(len(TRAINING))]
    generated: Any = SimpleNamespace(images=HELD_OUT, names=[f"g{index}" for index in range(len(HELD_OUT))])
    real: Any = SimpleNamespace(images=TRAINING, names=names)
    return write_match(0, match, generated, real, write), pictures


def test_sources_carry_the_colours_of_their_regions() -> None:
    labels = torch.full((SIDE, SIDE), -1)
    labels[:20], labels[30:40, :10], labels[30:40, 20:40] = 0, 1, 2
    regions = [Region(4, False, (2, 0), 0.5), Region(9, True, (0, 0), 0.2), Region(4, True, (0, 1), 0.1)]
    part, pictures = written(match_of(labels, regions))
    assert (part.fake, part.map, part.fake_name) == ("samples/regions_00_fake.png", "samples/regions_00_map.png", "g1")
    assert (part.share, part.regions) == (0.8, 3)
    first, second = part.sources
    assert (first.name, first.share, first.regions, first.mirrored) == ("r4", 0.6, 2, False)
    assert (second.name, second.share, second.regions, second.mirrored) == ("r9", 0.2, 1, True)
    assert first.colour == part_colour(0)
    # Both regions of picture 4 have one colour in the map.
    by_source = labels.clone()
    by_source[labels == 2] = 0
    assert torch.equal(pictures["regions_00_map.png"], coloured_parts(by_source, HELD_OUT[1]))
    # In picture 4 the first lies two further down; the other is of its mirror image, one further right in that.
    where = torch.full((SIDE, SIDE), -1)
    where[2:22] = 0
    where[30:40, SIDE - 41 : SIDE - 21] = 0
    assert torch.equal(pictures["regions_00_source_0.png"], coloured_parts(where, TRAINING[4]))
    where = torch.full((SIDE, SIDE), -1)
    where[30:40, :10] = 1
    assert torch.equal(pictures["regions_00_source_1.png"], coloured_parts(where, TRAINING[9].flip(-1)))


def test_only_the_largest_sources_are_shown() -> None:
    labels = torch.arange(SIDE).div(8, rounding_mode="floor").expand(SIDE, SIDE)
    regions = [Region(index, False, (0, 0), 0.3 - 0.02 * index) for index in range(6)]
    part, _ = written(match_of(labels, regions))
    assert [source.name for source in part.sources] == [f"r{index}" for index in range(MOST_SOURCES)]


def test_records_carry_patchworks_and_say_nothing_where_none_were_looked_for() -> None:
    part, _ = written(match_of(torch.zeros(SIDE, SIDE), [Region(4, True, (0, 0), 1.0)]))
    record = EvaluationRecord(schema_version=1, verdict={"copying": "green", "patchwork": "red"})
    record = record.model_copy(update={"pictures": Pictures(regions=(part,))})
    raw = record.to_json()
    again = parse_record(raw, "here")
    assert again.pictures.regions == (part,)
    assert again.topics == ("copying", "quality", "diversity", "patchwork")
    assert again.to_json() == raw
    older = parse_record({"schema_version": 1, "verdict": {"copying": "green"}}, "here")
    assert older.topics == ("copying", "quality", "diversity")
    assert "regions" not in Pictures().model_dump(exclude_unset=True)
