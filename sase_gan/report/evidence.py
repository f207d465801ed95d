"""Pictures of a report: sample grids, pairs of generated and training pictures, the latent walk, the extremes."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from sase_gan.metrics.records import CopyPair, EvaluationRecord, NamedPicture
from sase_gan.report.numbers import format_number
from sase_gan.report.pages import GRID_SIDE, EmbeddedPicture, PictureShelf
from sase_gan.report.plots import bars_svg

STAIRS = 2.0
"""A latent walk whose largest step exceeds this many mean steps is called a stair [ours]."""

# In which descriptor a pair was found near, see `metrics.extractors`.
_SPACES = {"mid": "by layout", "pixels": "by pixels"}


@dataclass(frozen=True)
class FigureView:
    """A figure is a picture with its caption."""

    picture: EmbeddedPicture
    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class PairView:
    """A generated picture is shown with its two nearest training pictures."""

    fake: EmbeddedPicture | None
    nearest: EmbeddedPicture | None
    second: EmbeddedPicture | None
    fake_name: str
    nearest_name: str
    second_name: str | None
    mirrored: bool
    distance: str | None
    second_distance: str | None
    space: str | None
    percent: int | None


@dataclass(frozen=True)
class WalkView:
    """The latent walk is shown as a strip, the sizes of its steps and a sentence."""

    picture: EmbeddedPicture | None
    plot: Markup | None
    sentence: str | None


def sample_figures(record: EvaluationRecord, shelf: PictureShelf) -> list[FigureView]:
    """Gather the grids of generated and of real pictures."""
    model, pictures = record.model, record.pictures
    truncation = model.truncation if model and model.truncation is not None else None
    wanted = [
        (
            pictures.fakes,
            "Generated" + (f", truncation {format_number(truncation)}" if truncation is not None else ""),
            "In the order of their seeds, none picked out."
            if model
            else "In the order of their names, none picked out.",
            "Grid of generated pictures",
        ),
        (pictures.reals, "Real", f"From {record.data.name}.", "Grid of real pictures"),
        (
            pictures.fakes_truncated,
            "Generated, truncated",
            "The same seeds drawn towards the average: usually cleaner and less varied. "
            "The numbers below are not about these.",
            "Grid of generated pictures with truncated latents",
        ),
    ]
    figures = []
    for name, title, caption, alt in wanted:
        picture = shelf.embed(name, GRID_SIDE)
        if picture:
            figures.append(FigureView(picture, title, caption, alt))
    return figures


def copy_pairs(record: EvaluationRecord, shelf: PictureShelf) -> list[PairView]:
    """Gather the generated pictures nearest to training pictures, most suspicious first."""
    views = []
    for place, pair in enumerate(record.pictures.copying, start=1):
        relative = pair.distance / pair.loo if pair.distance is not None and pair.loo else None
        views.append(
            PairView(
                fake=shelf.embed(pair.fake),
                nearest=shelf.embed(pair.nearest),
                second=shelf.embed(pair.second),
                fake_name=pair.fake_name or f"number {place}",
                nearest_name=pair.nearest_name or "unnamed",
                second_name=pair.second_name,
                mirrored=bool(pair.mirrored),
                distance=_distance(pair.distance, pair),
                second_distance=_distance(pair.second_distance, pair) if pair.second else None,
                space=_SPACES.get(pair.space or ""),
                percent=round(100 * relative) if relative is not None else None,
            )
        )
    return views


def _distance(distance: float | None, pair: CopyPair) -> str | None:
    """Round to a hundredth of the distances around the pair: how near a near copy is beyond that says nothing."""
    around = max(entry or 0.0 for entry in (pair.distance, pair.second_distance, pair.loo))
    return None if distance is None else format_number(distance, around / 100)


def walk_view(record: EvaluationRecord, shelf: PictureShelf) -> WalkView | None:
    """Show the latent walk and say whether it goes evenly; None when none was made."""
    walk = record.pictures.walk
    if walk is None:
        return None
    picture = shelf.embed(walk.strip, GRID_SIDE)
    steps = walk.steps or record.walk_steps
    if not steps:
        return WalkView(picture, None, None) if picture else None
    plot = bars_svg(steps, alt="Size of each step of the latent walk", x_label="step", y_label="distance moved")
    mean = sum(steps) / len(steps)
    largest = max(steps) / mean if mean else 0.0
    if not mean:
        sentence = "No step changes the picture at all: the generator ignores its latent."
    elif largest > STAIRS:
        sentence = (
            f"The largest step is {largest:.1f} times the mean: the walk goes in stairs, which suggests that the "
            "generator jumps between remembered pictures."
        )
    else:
        sentence = f"The steps are even (the largest is {largest:.1f} times the mean), as they should be."
    return WalkView(picture, Markup(plot), sentence)


def named_pictures(pictures: Iterable[NamedPicture], shelf: PictureShelf) -> list[tuple[NamedPicture, EmbeddedPicture]]:
    """Embed pictures that have a name; those that cannot be shown are left out."""
    return [(entry, picture) for entry in pictures if (picture := shelf.embed(entry.picture))]
