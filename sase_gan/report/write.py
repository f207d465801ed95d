"""One evaluation as a page to read and to send on: `report.html`, `report.md` and `figures.csv`.

The report reads files only (an evaluation folder, and a run folder for the curves), so it can be made again a year
later on a computer without the pictures, the weights or torch. The HTML is one file without scripts and without
anything loaded from elsewhere; pictures are embedded, plots are inline SVG that follow the reader's light or dark
mode.

It leads with copying. Where the training pictures are also the reference, a generator that repeats them has the best
distance of all, so the first thing a reader sees is whether that happened, with the most suspicious picture beside the
training picture it resembles; the distances follow. Whatever an evaluation left out is said in a sentence at its place.
"""

import re
from pathlib import Path

import yaml

from sase_gan.errors import DataError
from sase_gan.metrics.records import (
    FIGURES_FILE,
    RECORD_FILE,
    SCHEMA_VERSION,
    DataPart,
    EvaluationRecord,
    FakesPart,
    ModelPart,
    in_order,
    read_record,
)
from sase_gan.metrics.tables import write_figures
from sase_gan.report.pages import write_page
from sase_gan.report.view import build_view
from sase_gan.runs.folder import TRAINING_FILE, is_run
from sase_gan.runs.history import KEPT_RUN, RunRecords, best_record, images_seen, read_run


def write_report(folder: Path, *, run_folder: Path | None = None) -> Path:
    """Write `report.html`, `report.md` and, where there is none, `figures.csv` into an evaluation folder.

    Args:
        folder: an evaluation folder with `metrics.json`, or a run folder, whose best snapshot that does not copy
            (see `history.best_record`) is then reported from `results.jsonl`.
        run_folder: the training run whose curves and configuration to show; by default it is looked for.

    Returns:
        The path of `report.html`.

    Raises:
        DataError: there is neither `metrics.json` nor a usable line of `results.jsonl`, or a field is impossible.
        UsageError: the record follows a schema that this version does not know.
    """
    folder = Path(folder)
    # The run is the folder itself, or what it kept of a run that lies elsewhere, or one of the two folders above.
    resolved = folder.resolve()
    places = (resolved, resolved / KEPT_RUN, *resolved.parents[:2])
    run_folder = run_folder or next((place for place in places if is_run(place)), None)
    run = read_run(run_folder) if run_folder else RunRecords()
    evaluated = (folder / RECORD_FILE).is_file()
    record = read_record(folder / RECORD_FILE) if evaluated else _record_of_run(folder, run)
    view = build_view(record, folder, run, run_folder)
    for name in ("report.html", "report.md"):
        write_page(folder / name, f"{name}.j2", view=view)
    # Early versions called the table of figures like a run its training log.
    if evaluated and not any((folder / name).exists() for name in (FIGURES_FILE, TRAINING_FILE)):
        write_figures(folder / FIGURES_FILE, dict(in_order(record.metrics)))
    return folder / "report.html"


def _record_of_run(folder: Path, run: RunRecords) -> EvaluationRecord:
    """Take the best snapshot's record with the run's own grids; without any, one that says only which grid it is."""
    record = best_record(run.results)
    grids = _grids(folder)
    if record is None:
        if not (grids or run.series):
            raise DataError(
                f"{folder} holds neither {RECORD_FILE} nor a usable line of results.jsonl; give the folder that "
                "`sase-gan evaluate` or `sase-gan train` wrote, or run `sase-gan evaluate` first"
            )
        clock = max(grids, default=None)
        model = ModelPart(snapshot=grids[clock].stem, images_seen=clock) if clock is not None else None
        data = DataPart(name=_data_name(run.config) or "its training pictures")
        record = EvaluationRecord(
            schema_version=SCHEMA_VERSION, model=model, data=data, fakes=FakesPart(name=f"Run {folder.resolve().name}")
        )
    own: dict[str, str] = {}
    if record.pictures.fakes is None and grids:
        nearest = grids[min(grids, key=lambda clock: abs(clock - (images_seen(record) or 0)))]
        own["fakes"] = nearest.relative_to(folder).as_posix()
    if record.pictures.reals is None and (folder / "grids" / "reals.png").is_file():
        own["reals"] = "grids/reals.png"
    return record.model_copy(update={"pictures": record.pictures.model_copy(update=own)})


def _grids(folder: Path) -> dict[int, Path]:
    """Find a run's sample grids by images seen; they are called like 000012kimg.png or 000012.345kimg.png."""
    found = ((re.fullmatch(r"(\d+(?:\.\d+)?)kimg", path.stem), path) for path in (folder / "grids").glob("*kimg.png"))
    return {round(1000 * float(match[1])): path for match, path in found if match}


def _data_name(config: str | None) -> str | None:
    """Read the last part of the data path in a run's configuration."""
    try:
        values = yaml.safe_load(config or "")
    except yaml.YAMLError:
        return None
    path = values.get("data", {}).get("path") if isinstance(values, dict) else None
    return Path(path).name or None if isinstance(path, str) else None
