"""Verdicts are colours for copying, quality and diversity, each with the rule, the number and a sentence.

Copying is judged by the three figures of `originality`, beside what honest new pictures would score. No single space
decides quality: pooled features prefer pictures with right textures and broken shapes, and a discriminator that was
built on the same network lowers them without better pictures. So three are asked, pooled features, layout-aware
features and network-free patches. The worst decides, but one that calls the pictures bad while all others call them
good makes them no worse than amber. The limits are ours, set by eye on disturbed pictures: no fine ruler.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sase_gan.metrics.catalogue import COPY_RATE_LIMIT, Space
from sase_gan.metrics.records import Colour

# Red outweighs amber, and a verdict outweighs none.
SEVERITY: Mapping[str, int] = {"grey": 0, "green": 1, "amber": 2, "red": 3}

# Limits are those of green and of amber; ratios are to the halves of the reals.
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
    """A verdict is a colour, the rule that decided it, the number it looked at, and a sentence for the reader."""

    colour: Colour
    rule: str
    number: float | None
    text: str


UNASKED_COPYING = Verdict("grey", "copying was not asked for", None, "Copying was not measured.")


# --- copying ----------------------------------------------------------------------------------------------------------


# A fake is suspiciously near when it is nearer than this quantile of the leave-one-out distances.
NEAR_QUANTILE = 0.05
# With fewer pictures there is no verdict on copying.
LEAST_REALS = 10
LEAST_FAKES = 20
# Red from this `copy_share` up; below this AuthPct, which is in percent; and when `nn_ratio` is both below this and so
# many honest standard deviations below the honest mean. Amber from so many deviations on.
RED_SHARE = 0.5
RED_AUTHPCT = 10.0
RED_RATIO = 0.80
RED_DEVIATIONS = 4.0
AMBER_DEVIATIONS = 3.0


@dataclass(frozen=True)
class CopyScores:
    """The three figures of one set of fakes; `copy_share` in 0..1, `authpct` in percent."""

    copy_share: float
    nn_ratio: float
    authpct: float


@dataclass(frozen=True)
class HonestBaseline:
    """Mean and standard deviation of the figures over random halves of the reals, one half taken as fakes."""

    mean: CopyScores
    std: CopyScores


def copying_verdict(
    scores: CopyScores, honest: HonestBaseline | None, reals: int, fakes: int, space: Space = "mid"
) -> Verdict:
    """Judge copying in one space: by the first rule that applies; grey with too few pictures."""
    if honest is None or reals < LEAST_REALS or fakes < LEAST_FAKES:
        rule = f"no verdict with fewer than {LEAST_REALS} reals or {LEAST_FAKES} fakes"
        text = f"{reals} training and {fakes} generated pictures are too few for a verdict; look at the pairs."
        return Verdict("grey", rule, None, text)
    share, ratio, authentic = scores.copy_share, scores.nn_ratio, scores.authpct
    mean, std, amber = honest.mean, honest.std, AMBER_DEVIATIONS
    red_ratio = min(RED_RATIO, mean.nn_ratio - RED_DEVIATIONS * std.nn_ratio)
    amber_share, amber_ratio = mean.copy_share + amber * std.copy_share, mean.nn_ratio - amber * std.nn_ratio
    suffix = "" if space == "mid" else f"_{space}"
    near = f"{share:.0%} of the generated pictures are suspiciously near to a training picture; honest new pictures"
    rules: list[tuple[bool, Colour, str, float, str]] = [
        (
            share >= RED_SHARE,
            *("red", f"copy_share{suffix} >= {RED_SHARE:g}", share),
            f"{share:.0%} of the generated pictures are nearer to a training picture than training pictures are to "
            "each other: they are copies, or close to it.",
        ),
        (
            authentic < RED_AUTHPCT,
            *("red", f"authpct{suffix} < {RED_AUTHPCT:g}", authentic),
            f"Only {authentic:.0f} % of the generated pictures are farther from their nearest training picture than "
            "that picture is from its own nearest neighbour.",
        ),
        (
            ratio < red_ratio,
            *("red", f"nn_ratio{suffix} < {red_ratio:.2f}", ratio),
            f"Generated pictures lie at {ratio:.2f} of the distance that training pictures have from each other.",
        ),
        (
            share > amber_share,
            *("amber", f"copy_share{suffix} > {amber_share:.3f}, the honest mean + {amber:g} deviations", share),
            f"{near} would stay under {amber_share:.0%}.",
        ),
        (
            ratio < amber_ratio,
            *("amber", f"nn_ratio{suffix} < {amber_ratio:.3f}, the honest mean - {amber:g} deviations", ratio),
            f"Generated pictures are nearer to the training pictures ({ratio:.2f}) than honest new ones would be (at "
            f"least {amber_ratio:.2f}).",
        ),
    ]
    for applies, colour, rule, number, text in rules:
        if applies:
            return Verdict(colour, f"{colour}: {rule}", number, text)
    text = f"{near} would score {mean.copy_share:.0%} by chance."
    return Verdict("green", "green: no rule for red or amber applies", share, text)


def joint_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Pick the severest of the spaces' verdicts; of equal ones the first."""
    return max(verdicts, key=lambda verdict: SEVERITY[verdict.colour])


# --- patchwork --------------------------------------------------------------------------------------------------------


# A picture counts as put together beyond chance above this quantile of the real pictures' shares.
REGION_QUANTILE = 0.95
# Red when so many pictures are above; or when so nearly all surpass the real ones (`rank`, of which chance is 0.5) and
# have at least this share. Amber from so many deviations of chance on, if the share surpasses the real ones' by this.
RED_ABOVE = 0.5
RED_RANK = 0.8
RED_REGIONS = 0.25
AMBER_REGIONS = 0.05


@dataclass(frozen=True)
class RegionScores:
    """What a set of fakes scores in the search for regions.

    Attributes:
        share: mean share of a picture in regions of training pictures.
        above: share of the pictures that have more than is usual among real ones.
        rank: chance that a fake surpasses a real picture in `rank_of`, ties counting half.
        regions: mean number of regions in a picture.
        alone: of the pictures above, the part whose regions come nearly all from one training picture.
    """

    share: float
    above: float
    rank: float
    rank_of: str
    regions: float
    alone: float


def patchwork_verdict(scores: RegionScores, honest: float, reals: int, fakes: int) -> Verdict:
    """Judge whether pictures are put together from regions of training pictures, by the first rule that applies.

    Args:
        honest: mean share of the real pictures, each explained by the others.
        reals, fakes: how many were looked at.
    """
    if reals < LEAST_REALS or fakes < LEAST_FAKES:
        rule = f"no verdict with fewer than {LEAST_REALS} reals or {LEAST_FAKES} fakes"
        text = f"{reals} training and {fakes} generated pictures are too few for a verdict; look at the regions."
        return Verdict("grey", rule, None, text)
    share, above, rank, amber = scores.share, scores.above, scores.rank, AMBER_DEVIATIONS
    # Chance: a share of two samples, and the statistic of Wilcoxon, Mann and Whitney.
    spread, usual = (1 / fakes + 1 / reals) ** 0.5, 1 - REGION_QUANTILE
    amber_above = usual + amber * (usual * REGION_QUANTILE) ** 0.5 * spread
    amber_rank, ranked = 0.5 + amber * spread / 12**0.5, f"patchwork_rank (of {scores.rank_of})"
    red_rank, more = max(RED_RANK, amber_rank), share > honest + AMBER_REGIONS
    means = (
        f"{share:.0%} of a generated picture comes in {scores.regions:.1f} regions of training pictures on average; "
        f"real pictures share {honest:.0%}"
    )
    origin = f"({1 - scores.alone:.0%} of them from several, {scores.alone:.0%} nearly wholly from one)"
    rules: list[tuple[bool, Colour, str, float, str]] = [
        (
            above >= RED_ABOVE,
            *("red", f"patchwork_pictures >= {RED_ABOVE:g}", above),
            f"{above:.0%} of the generated pictures are put together from training pictures {origin}. {means}.",
        ),
        (
            rank >= red_rank and share >= RED_REGIONS,
            *("red", f"{ranked} >= {red_rank:.2g} with patchwork_share >= {RED_REGIONS:g}", rank),
            f"Nearly all generated pictures are more of a patchwork than real ones: {means}.",
        ),
        (
            above > amber_above and more,
            *("amber", f"patchwork_pictures > {amber_above:.3f}, chance + {amber:g} deviations", above),
            f"{above:.0%} of the generated pictures have more in regions of training pictures {origin} than nearly "
            f"all real ones. {means}.",
        ),
        (
            rank > amber_rank and more,
            *("amber", f"{ranked} > {amber_rank:.3f}, chance + {amber:g} deviations", rank),
            f"Generated pictures have more in regions of training pictures than chance explains: {means}.",
        ),
    ]
    for applies, colour, rule, number, text in rules:
        if applies:
            return Verdict(colour, f"{colour}: {rule}", number, text)
    return Verdict("green", "green: no rule for red or amber applies", share, f"{means}.")


# --- quality and diversity of sets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpaceVerdict(Verdict):
    """A space's verdict is what one feature space says about quality."""

    space: str


def quality_by_space(value: Lookup, *, pooled_counts: bool = True) -> list[SpaceVerdict]:
    """Ask each space about quality, as far as its figures are there.

    Args:
        value: gives a figure of the record by its name, or None.
        pooled_counts: False when the generator was trained against this network's features: they are then no judge.
    """
    said = []
    kid = value("kid_efflite0")
    if kid is not None and pooled_counts:
        text = f"Pooled features put the generated pictures at a KID of {kid:.3f} (good: up to {KID_LIMITS[0]:g})."
        said.append(_space_verdict("pooled features", "kid_efflite0", kid, KID_LIMITS, text))
    for space, name, reference, limits in (
        ("layout-aware features", "fd_mid_efflite0", "fd_mid_reference_efflite0", MID_RATIO_LIMITS),
        ("small patches", "patch_swd", "patch_swd_reference", PATCH_RATIO_LIMITS),
    ):
        distance, own = value(name), value(reference)
        if distance is not None and own is not None and own > 0:
            ratio = distance / own
            text = (
                f"By {space} the generated pictures are {ratio:.1f} times as far from the real ones as halves of the "
                f"real ones are from each other (good: up to {limits[0]:g})."
            )
            said.append(_space_verdict(space, f"{name} / {reference}", ratio, limits, text))
    return said


def _space_verdict(space: str, name: str, value: float, limits: tuple[float, float], text: str) -> SpaceVerdict:
    return SpaceVerdict(_colour(value, limits), _rule(name, limits), value, text, space)


def quality_verdict(spaces: list[SpaceVerdict]) -> Verdict:
    """Take the worst of the spaces, where a red that no other space supports counts as amber.

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
    """Say so when one space finds the pictures good that another finds bad."""
    by_severity = sorted(spaces, key=lambda space: SEVERITY[space.colour])
    if len(by_severity) < 2 or SEVERITY[by_severity[-1].colour] - SEVERITY[by_severity[0].colour] < 2:
        return None
    best, worst = by_severity[0], by_severity[-1]
    return (
        f"The feature spaces disagree: by {best.space} the generated pictures are close to the real ones, by "
        f"{worst.space} they are far from them. Trust your eyes and the picture grids more than any one number."
    )


def diversity_verdict(value: Lookup, expected_coverage: float | None = None) -> Verdict:
    """Judge diversity by the variety among the fakes and by the share of the reals that they reach.

    The variety, `div_efflite0`, always counts. Coverage sees what it cannot, kinds of pictures that are missing from an
    otherwise varied set; but poor pictures lie near no real one whatever their variety, so coverage counts only when
    enough fakes lie among the reals. Of the figures that count the worse decides.

    Args:
        value: gives a figure of the record by its name, or None.
        expected_coverage: of as many fakes drawn like the reals, see `fidelity.expected_coverage`; few fakes cannot
            reach all reals. None stands for 1.
    """
    diversity, coverage = value("div_efflite0"), value("coverage_efflite0")
    precision = value("precision_efflite0")
    options: list[Verdict] = []
    unjudged = ""
    if diversity is not None:
        text = f"Generated pictures differ from each other {diversity:.2f} times as much as the real ones do."
        options.append(_verdict_above("div_efflite0", diversity, DIVERSITY_LIMITS, text))
    if coverage is not None and (precision is None or precision >= LEAST_PRECISION):
        reached = min(coverage / expected_coverage, 1.0) if expected_coverage else coverage
        name = "coverage_efflite0"
        text = f"{coverage:.0%} of the real pictures have a generated one in their neighbourhood"
        if expected_coverage:
            name += " / its level for equal sets"
            text += f"; as many pictures drawn like the real ones would reach {expected_coverage:.0%}"
        options.append(_verdict_above(name, reached, COVERAGE_LIMITS, f"{text}."))
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


def _verdict_above(name: str, value: float, limits: tuple[float, float], text: str) -> Verdict:
    """The verdict on a figure that is better when higher."""
    colour = _colour(-value, (-limits[0], -limits[1]))
    rule = f"{colour}: {name}: green from {limits[0]:g}, amber from {limits[1]:g}, red below"
    return Verdict(colour, rule, value, text)


# --- pictures made from one picture -----------------------------------------------------------------------------------

# JPEG of quality 75 scores 5, samples of ConSinGAN 19 and of SinGAN 28, other photographs 400.
JPEG_DISTANCE = 5
PUBLISHED_DISTANCES = (19, 28)
SINGLE_LIMITS = (40.0, 120.0)
SINGLE_DIVERSITY_LIMITS = (0.3, 0.12)
SINGLE_COPIES_LIMITS = (0.1, 0.5)
LEAST_SINGLE_FAKES = 10


def _too_few(fakes: int, judged: str, number: float | None = None) -> Verdict:
    text = f"{fakes} generated pictures are too few to judge {judged}."
    return Verdict("grey", f"no verdict with fewer than {LEAST_SINGLE_FAKES} generated pictures", number, text)


def single_quality(distance: float | None, fakes: int) -> Verdict:
    """Judge the quality of pictures made from one picture, by the texture distance to it."""
    if distance is None:
        return Verdict("grey", "no distance to the training picture was measured", None, "Quality was not measured.")
    if fakes < LEAST_SINGLE_FAKES:
        return _too_few(fakes, "their quality", distance)
    colour = _colour(distance, SINGLE_LIMITS)
    text = (
        f"Textures lie {distance:.0f} from the training picture's (samples of published generators: about "
        f"{PUBLISHED_DISTANCES[0]} to {PUBLISHED_DISTANCES[1]})."
    )
    return Verdict(colour, f"{colour}: {_rule('sifd_efflite0', SINGLE_LIMITS)}", distance, text)


def single_diversity(diversity: float | None, fakes: int) -> Verdict:
    """Judge the diversity of pictures made from one picture."""
    if diversity is None or fakes < LEAST_SINGLE_FAKES:
        return _too_few(fakes, "their variety")
    text = f"Generated pictures vary by {diversity:.2f} of the training picture's own variation."
    return _verdict_above("pixel_diversity", diversity, SINGLE_DIVERSITY_LIMITS, text)


def single_copying(flagged: int, fakes: int) -> Verdict:
    """Judge copying of the one training picture: the share of the fakes whose copy rate reaches the limit."""
    share = flagged / fakes
    green, red = SINGLE_COPIES_LIMITS
    if fakes < LEAST_SINGLE_FAKES and share < red:  # a copy is one, however few were drawn
        return _too_few(fakes, "copying", share)
    colour: Colour = "red" if share >= red else "amber" if share > green else "green"
    rule = f"{colour}: share of pictures with copy_rate >= {COPY_RATE_LIMIT:g}: green up to {green:g}, red from {red:g}"
    text = (
        f"{flagged} of {fakes} generated pictures take {100 * COPY_RATE_LIMIT:.0f} % or more of their patches in one "
        "piece from the original."
    )
    return Verdict(colour, rule, share, text)
