"""The verdict on copying gives three figures a colour by constants; `originality` has the figures."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sase_gan.metrics.catalogue import Space
from sase_gan.metrics.verdicts import SEVERITY, Verdict


@dataclass(frozen=True)
class CopyRules:
    """The constants of the verdict.

    Attributes:
        limit_quantile: a fake is suspiciously near when it is nearer than this quantile of the leave-one-out distances.
        red_share, red_authpct: red from this `copy_share` up, or below this AuthPct, which is in percent.
        red_ratio, red_deviations: red when `nn_ratio` is below this and so many honest standard deviations below the
            honest mean, both.
        amber_deviations: amber from so many standard deviations of the honest baseline on.
        least_reals, least_fakes: with fewer there is no verdict.
    """

    limit_quantile: float = 0.05
    red_share: float = 0.5
    red_authpct: float = 10.0
    red_ratio: float = 0.80
    red_deviations: float = 4.0
    amber_deviations: float = 3.0
    least_reals: int = 10
    least_fakes: int = 20


RULES = CopyRules()


@dataclass(frozen=True)
class CopyScores:
    """The three figures of one set of fakes; `copy_share` in 0..1, `authpct` in percent."""

    copy_share: float
    nn_ratio: float
    authpct: float


COPY_SCORES = tuple(field.name for field in fields(CopyScores))


@dataclass(frozen=True)
class HonestBaseline:
    """Mean and standard deviation of the figures over random halves of the reals, one half taken as fakes."""

    mean: CopyScores
    std: CopyScores


def copying_verdict(
    scores: CopyScores, honest: HonestBaseline | None, reals: int, fakes: int, space: Space = "mid"
) -> Verdict:
    """The verdict on copying in one space: red, amber or green by `RULES`; grey with too few pictures."""
    if honest is None or reals < RULES.least_reals or fakes < RULES.least_fakes:
        return Verdict(
            "grey",
            f"no verdict with fewer than {RULES.least_reals} reals or {RULES.least_fakes} fakes",
            None,
            f"{reals} training and {fakes} generated pictures are too few for a verdict; look at the pairs.",
        )
    suffix = "" if space == "mid" else f"_{space}"
    share = f"{scores.copy_share:.0%}"
    return (
        _red(scores, honest, suffix)
        or _amber(scores, honest, suffix)
        or Verdict(
            "green",
            "green: no rule for red or amber applies",
            scores.copy_share,
            f"{share} of the generated pictures are suspiciously near to a training picture; honest new pictures would "
            f"score {honest.mean.copy_share:.0%} by chance.",
        )
    )


def _red(scores: CopyScores, honest: HonestBaseline, suffix: str) -> Verdict | None:
    red_ratio = min(RULES.red_ratio, honest.mean.nn_ratio - RULES.red_deviations * honest.std.nn_ratio)
    if scores.copy_share >= RULES.red_share:
        return Verdict(
            "red",
            f"red: copy_share{suffix} >= {RULES.red_share:g}",
            scores.copy_share,
            f"{scores.copy_share:.0%} of the generated pictures are nearer to a training picture than training "
            "pictures are to each other: they are copies, or close to it.",
        )
    if scores.authpct < RULES.red_authpct:
        return Verdict(
            "red",
            f"red: authpct{suffix} < {RULES.red_authpct:g}",
            scores.authpct,
            f"Only {scores.authpct:.0f} % of the generated pictures are farther from their nearest training picture "
            "than that picture is from its own nearest neighbour.",
        )
    if scores.nn_ratio < red_ratio:
        return Verdict(
            "red",
            f"red: nn_ratio{suffix} < {red_ratio:.2f}",
            scores.nn_ratio,
            f"Generated pictures lie at {scores.nn_ratio:.2f} of the distance that training pictures have from each "
            "other.",
        )
    return None


def _amber(scores: CopyScores, honest: HonestBaseline, suffix: str) -> Verdict | None:
    mean, std = honest.mean, honest.std
    amber_share = mean.copy_share + RULES.amber_deviations * std.copy_share
    amber_ratio = mean.nn_ratio - RULES.amber_deviations * std.nn_ratio
    if scores.copy_share > amber_share:
        return Verdict(
            "amber",
            f"amber: copy_share{suffix} > {amber_share:.3f}, the honest mean + {RULES.amber_deviations:g} deviations",
            scores.copy_share,
            f"{scores.copy_share:.0%} of the generated pictures are suspiciously near to a training picture; honest "
            f"new pictures would stay under {amber_share:.0%}.",
        )
    if scores.nn_ratio < amber_ratio:
        return Verdict(
            "amber",
            f"amber: nn_ratio{suffix} < {amber_ratio:.3f}, the honest mean - {RULES.amber_deviations:g} deviations",
            scores.nn_ratio,
            f"Generated pictures are nearer to the training pictures ({scores.nn_ratio:.2f}) than honest new ones "
            f"would be (at least {amber_ratio:.2f}).",
        )
    return None


def joint_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """The severest of the spaces' verdicts; of equal ones the first."""
    return max(verdicts, key=lambda verdict: SEVERITY[verdict.colour])
