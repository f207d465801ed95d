"""Pictures of a report as the templates read them: sample grids, suspicious pairs, the latent walk, the extremes."""

from collections.abc import Iterable
from typing import Any

from sase_gan.metrics.records import CopyPair, EvaluationRecord, NamedPicture
from sase_gan.report.numbers import format_number
from sase_gan.report.pages import GRID_SIDE, EmbeddedPicture, PictureShelf
from sase_gan.report.plots import bars_svg

STAIRS = 2.0
"""A latent walk whose largest step exceeds this many mean steps is called a stair [ours]."""

# In which descriptor a pair was found near, see `metrics.extractors`.
_SPACES = {"mid": "by layout", "pixels": "by pixels"}


def sample_figures(record: EvaluationRecord, shelf: PictureShelf) -> list[dict[str, Any]]:
    """Gather the grids of generated and of real pictures."""
    model, pictures = record.model, record.pictures
    generated = "Generated"
    if model and model.truncation is not None:
        generated += f", truncation {format_number(model.truncation)}"
    order = f"In the order of their {'seeds' if model else 'names'}, none picked out."
    truncated = (
        "The same seeds drawn towards the average: usually cleaner and less varied. "
        "The numbers below are not about these."
    )
    wanted = [
        (pictures.fakes, generated, order, "Grid of generated pictures"),
        (
            record.recombined.grid if record.recombined else None,
            "Recombined, without training",
            f"What the training pictures give when they are {_words(record)}: what a network must beat.",
            "Grid of recombined training pictures",
        ),
        (pictures.reals, "Real", f"From {record.data.name}.", "Grid of real pictures"),
        (
            pictures.fakes_truncated,
            "Generated, truncated",
            truncated,
            "Grid of generated pictures with truncated latents",
        ),
    ]
    return [
        {"picture": picture, "title": title, "caption": caption, "alt": alt}
        for name, title, caption, alt in wanted
        if (picture := shelf.embed(name, GRID_SIDE))
    ]


def _words(record: EvaluationRecord) -> str:
    return (record.recombined.words if record.recombined else None) or "recombined"


def copy_pairs(record: EvaluationRecord, shelf: PictureShelf) -> list[dict[str, Any]]:
    """Gather the generated pictures nearest to training pictures, most suspicious first."""
    return [_pair(place, pair, shelf) for place, pair in enumerate(record.pictures.copying, start=1)]


def _pair(place: int, pair: CopyPair, shelf: PictureShelf) -> dict[str, Any]:
    return {
        "fake": shelf.embed(pair.fake),
        "nearest": shelf.embed(pair.nearest),
        "second": shelf.embed(pair.second),
        "fake_name": pair.fake_name or f"number {place}",
        "nearest_name": pair.nearest_name or "unnamed",
        "second_name": pair.second_name,
        "mirrored": pair.mirrored,
        "distance": _distance(pair.distance, pair),
        "second_distance": _distance(pair.second_distance, pair) if pair.second else None,
        "space": _SPACES.get(pair.space or ""),
        "percent": round(100 * pair.distance / pair.loo) if pair.distance is not None and pair.loo else None,
    }


def _distance(distance: float | None, pair: CopyPair) -> str | None:
    """Round to a hundredth of the distances around the pair: how near a near copy is beyond that says nothing."""
    around = max(entry or 0.0 for entry in (pair.distance, pair.second_distance, pair.loo))
    return None if distance is None else format_number(distance, around / 100)


def region_pictures(record: EvaluationRecord, shelf: PictureShelf) -> list[dict[str, Any]]:
    """Gather the worst patchworks with the training pictures that their regions are of."""
    return [
        {
            "fake": shelf.embed(one.fake),
            "map": shelf.embed(one.map),
            "name": one.fake_name or f"number {place}",
            "share": _percent(one.share),
            "regions": one.regions,
            "sources": [
                {
                    "picture": shelf.embed(source.picture),
                    "name": source.name or "unnamed",
                    "share": _percent(source.share),
                    "mirrored": source.mirrored,
                    # Numbers alone, checked by the record: nothing else may get into a style.
                    "colour": "rgb({}, {}, {})".format(*source.colour) if source.colour else None,
                }
                for source in one.sources
            ],
        }
        for place, one in enumerate(record.pictures.regions, start=1)
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def walk_view(record: EvaluationRecord, shelf: PictureShelf) -> dict[str, Any] | None:
    """Show the latent walk as a strip and its steps, and say whether it goes evenly; None when none was made."""
    walk = record.pictures.walk
    if walk is None:
        return None
    picture = shelf.embed(walk.strip, GRID_SIDE)
    steps = walk.steps or record.walk_steps
    if not steps:
        return {"picture": picture, "plot": None, "sentence": None} if picture else None
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
    plot = bars_svg(steps, alt="Size of each step of the latent walk", x_label="step", y_label="distance moved")
    return {"picture": picture, "plot": plot, "sentence": sentence}


def named_pictures(pictures: Iterable[NamedPicture], shelf: PictureShelf) -> list[tuple[NamedPicture, EmbeddedPicture]]:
    """Embed pictures that have a name; those that cannot be shown are left out."""
    return [(entry, picture) for entry in pictures if (picture := shelf.embed(entry.picture))]
