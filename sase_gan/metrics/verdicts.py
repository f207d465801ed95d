"""Verdicts are colours for quality and diversity, with a sentence for when the feature spaces disagree.

No single space decides quality: pooled features prefer pictures with right textures and broken shapes, and a
discriminator that was built on the same network lowers them without better pictures. So three are asked, pooled
features, layout-aware features and network-free patches. The worst decides, but one that calls the pictures bad while
all others call them good makes them no worse than amber. The limits are ours, set by eye on
disturbed photographs and on drawings; they sort pictures into usable, visibly off and bad, and are no fine ruler.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sase_gan.metrics.catalogue import COPY_RATE_LIMIT
from sase_gan.metrics.records import Colour

# Red outweighs amber, and a verdict outweighs none.
SEVERITY: Mapping[str, int] = {"grey": 0, "green": 1, "amber": 2, "red": 3}

# (space, base name of its figure, what it looks at, green up to, amber up to); ratios are to the halves of the reals.
KID_LIMITS = (0.02, 0.08)
MID_RATIO_LIMITS = (1.15, 1.6)
PATCH_RATIO_LIMITS = (1.6, 3.0)
DIVERSITY_LIMITS = (0.85, 0.6)
# Coverage over what fakes drawn like the reals would reach with these counts.
COVERAGE_LIMITS = (0.7, 0.3)
# With a smaller share of fakes among the reals, coverage tells their quality and nothing about their variety.
LEAST_PRECISION = 0.3

Lookup = Callable[[str], float | None]


@dataclass(frozen=True)
class Verdict:
    """A colour, the rule that decided it, the number it looked at, and a sentence for the reader."""

    colour: Colour
    rule: str
    number: float | None
    text: str


UNASKED_COPYING = Verdict("grey", "copying was not asked for", None, "Copying was not measured.")


@dataclass(frozen=True)
class SpaceVerdict:
    """What one feature space says about quality."""

    space: str
    colour: Colour
    number: float
    rule: str
    text: str


def quality_by_space(value: Lookup, *, pooled_counts: bool = True) -> list[SpaceVerdict]:
    """What each space says, as far as its figures are there.

    Args:
        value: gives a figure of the record by its name, or None.
        pooled_counts: False when the generator was trained against this network's features: they are then no judge.
    """
    said = []
    kid = value("kid_efflite0")
    if kid is not None and pooled_counts:
        colour = _colour(kid, KID_LIMITS)
        text = f"Pooled features put the generated pictures at a KID of {kid:.3f} (good: up to {KID_LIMITS[0]:g})."
        said.append(SpaceVerdict("pooled features", colour, kid, _rule("kid_efflite0", KID_LIMITS), text))
    for space, name, reference, limits in (
        ("layout-aware features", "fd_mid_efflite0", "fd_mid_reference_efflite0", MID_RATIO_LIMITS),
        ("small patches", "patch_swd", "patch_swd_reference", PATCH_RATIO_LIMITS),
    ):
        distance, own = value(name), value(reference)
        if distance is None or own is None or own <= 0:
            continue
        ratio = distance / own
        text = (
            f"By {space} the generated pictures are {ratio:.1f} times as far from the real ones as halves of the real "
            f"ones are from each other (good: up to {limits[0]:g})."
        )
        rule = _rule(f"{name} / {reference}", limits)
        said.append(SpaceVerdict(space, _colour(ratio, limits), ratio, rule, text))
    return said


def quality_verdict(spaces: list[SpaceVerdict]) -> Verdict:
    """The worst of the spaces, where a red that no other space supports counts as amber.

    Grey when fewer than two spaces were measured, because none decides alone.
    """
    if not spaces:
        return Verdict("grey", "no distance to the real pictures was measured", None, "Quality was not measured.")
    if len(spaces) == 1:
        rule = f"only {spaces[0].space} were measured, and no feature space decides alone"
        return Verdict("grey", rule, spaces[0].number, spaces[0].text)
    worst = max(spaces, key=lambda space: SEVERITY[space.colour])
    others = [space for space in spaces if space is not worst]
    if worst.colour == "green":
        names = ", ".join(space.space for space in spaces)
        text = f"All feature spaces ({names}) put the generated pictures close to the real ones."
        return Verdict("green", f"green: {worst.rule}", worst.number, text)
    if worst.colour == "red" and all(space.colour == "green" for space in others):
        names = " and ".join(space.space for space in others)
        rule = f"amber: {worst.rule}; red needs the support of another feature space"
        return Verdict("amber", rule, worst.number, f"{worst.text} {names.capitalize()} do not find them so far.")
    return Verdict(worst.colour, f"{worst.colour}: {worst.rule}", worst.number, worst.text)


def disagreement(spaces: list[SpaceVerdict]) -> str | None:
    """A sentence when one space finds the pictures good that another finds bad."""
    by_severity = sorted(spaces, key=lambda space: SEVERITY[space.colour])
    if len(by_severity) < 2 or SEVERITY[by_severity[-1].colour] - SEVERITY[by_severity[0].colour] < 2:
        return None
    best, worst = by_severity[0], by_severity[-1]
    return (
        f"The feature spaces disagree: by {best.space} the generated pictures are close to the real ones, by "
        f"{worst.space} they are far from them. Trust your eyes and the picture grids more than any one number."
    )


def diversity_verdict(value: Lookup, expected_coverage: float | None = None) -> Verdict:
    """Green, amber or red by the variety among the fakes and by the share of the reals that they reach.

    The variety, `div_efflite0`, always counts. Coverage sees what it cannot, kinds of pictures that are missing from an
    otherwise varied set; but poor pictures lie near no real one whatever their variety, so coverage counts only when
    enough fakes lie among the reals. Of the figures that count the worse decides.

    Args:
        value: gives a figure of the record by its name, or None.
        expected_coverage: of as many fakes drawn like the reals, see `neighbours.expected_coverage`; few fakes cannot
            reach all reals. None stands for 1.
    """
    diversity, coverage = value("div_efflite0"), value("coverage_efflite0")
    precision = value("precision_efflite0")
    options: list[Verdict] = []
    unjudged = ""
    if diversity is not None:
        colour = _colour(-diversity, (-DIVERSITY_LIMITS[0], -DIVERSITY_LIMITS[1]))
        text = f"Generated pictures differ from each other {diversity:.2f} times as much as the real ones do."
        options.append(Verdict(colour, f"{colour}: {_rule_above('div_efflite0', DIVERSITY_LIMITS)}", diversity, text))
    if coverage is not None and (precision is None or precision >= LEAST_PRECISION):
        reached = min(coverage / expected_coverage, 1.0) if expected_coverage else coverage
        colour = _colour(-reached, (-COVERAGE_LIMITS[0], -COVERAGE_LIMITS[1]))
        text = f"{coverage:.0%} of the real pictures have a generated one in their neighbourhood" + (
            f"; as many pictures drawn like the real ones would reach {expected_coverage:.0%}."
            if expected_coverage
            else "."
        )
        name = "coverage_efflite0 / its level for equal sets" if expected_coverage else "coverage_efflite0"
        options.append(Verdict(colour, f"{colour}: {_rule_above(name, COVERAGE_LIMITS)}", reached, text))
    elif coverage is not None:
        share = f"only {precision:.0%}" if precision and precision >= 0.005 else "next to none"
        unjudged = (
            f"Which kinds of real pictures are reached cannot be told yet: {share} of the generated pictures lie among "
            "the real ones, and that is a matter of quality."
        )
    if not options:
        rule = f"coverage counts from precision_efflite0 {LEAST_PRECISION:g}" if unjudged else "none was measured"
        return Verdict("grey", rule, None, unjudged or "Diversity was not measured.")
    worst = max(options, key=lambda verdict: SEVERITY[verdict.colour])
    return replace(worst, text=f"{worst.text} {unjudged}") if unjudged else worst


def _colour(value: float, limits: tuple[float, float]) -> Colour:
    return "green" if value <= limits[0] else "amber" if value <= limits[1] else "red"


def _rule(name: str, limits: tuple[float, float]) -> str:
    return f"{name}: green up to {limits[0]:g}, amber up to {limits[1]:g}, red above"


def _rule_above(name: str, limits: tuple[float, float]) -> str:
    return f"{name}: green from {limits[0]:g}, amber from {limits[1]:g}, red below"


# Single pictures: JPEG of quality 75 scores 5, samples of ConSinGAN 19 and of SinGAN 28, other photographs 400.
JPEG_DISTANCE = 5
PUBLISHED_DISTANCES = (19, 28)
SINGLE_LIMITS = (40.0, 120.0)
SINGLE_DIVERSITY_LIMITS = (0.3, 0.12)
SINGLE_COPIES_LIMITS = (0.1, 0.5)
LEAST_SINGLE_FAKES = 10


def single_quality(distance: float | None) -> Verdict:
    """Quality of pictures made from one picture, by the texture distance to it."""
    if distance is None:
        return Verdict("grey", "no distance to the training picture was measured", None, "Quality was not measured.")
    colour = _colour(distance, SINGLE_LIMITS)
    text = (
        f"Textures lie {distance:.0f} from the training picture's (samples of published generators: about "
        "{} to {}).".format(*PUBLISHED_DISTANCES)
    )
    return Verdict(colour, f"{colour}: {_rule('sifd_efflite0', SINGLE_LIMITS)}", distance, text)


def single_diversity(diversity: float | None, fakes: int) -> Verdict:
    """Diversity of pictures made from one picture."""
    if diversity is None or fakes < LEAST_SINGLE_FAKES:
        rule = f"no verdict with fewer than {LEAST_SINGLE_FAKES} generated pictures"
        return Verdict("grey", rule, None, f"{fakes} generated pictures are too few to judge their variety.")
    colour = _colour(-diversity, (-SINGLE_DIVERSITY_LIMITS[0], -SINGLE_DIVERSITY_LIMITS[1]))
    text = f"Generated pictures vary by {diversity:.2f} of the training picture's own variation."
    return Verdict(colour, f"{colour}: {_rule_above('pixel_diversity', SINGLE_DIVERSITY_LIMITS)}", diversity, text)


def single_copying(flagged: int, fakes: int) -> Verdict:
    """Copying of the one training picture: share of the fakes whose copy rate reaches the limit."""
    share = flagged / fakes
    colour: Colour = (
        "red" if share >= SINGLE_COPIES_LIMITS[1] else "amber" if share > SINGLE_COPIES_LIMITS[0] else "green"
    )
    rule = (
        f"{colour}: share of pictures with copy_rate >= {COPY_RATE_LIMIT:g}: green up to {SINGLE_COPIES_LIMITS[0]:g}, "
        f"red from {SINGLE_COPIES_LIMITS[1]:g}"
    )
    text = (
        f"{flagged} of {fakes} generated pictures take {100 * COPY_RATE_LIMIT:.0f} % or more of their patches in one "
        "piece from the original."
    )
    return Verdict(colour, rule, share, text)
