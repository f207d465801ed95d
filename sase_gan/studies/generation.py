"""A cell of a study of generators: trained within the budget, then measured as `sase-gan evaluate` measures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sase_gan.config import merge, preset_folder
from sase_gan.files import write_atomically
from sase_gan.studies.spec import NEVER, Cell

if TYPE_CHECKING:
    from sase_gan.runs.folder import RunFolder

_GROUPS = ("distribution", "patches", "copying")
# What a cell's training leaves out: it is measured at its end, by the study.
_BARE = {"snapshot_images": NEVER, "evaluation_count": 0, "baseline_images": 0}
# Studies compare networks; an arm may ask for it, and then its finished pictures are measured.
_UNFINISHED = {"enabled": False}


def run_generation(cell: Cell, folder: Path, *, device: str = "auto", threads: int | None = 1) -> dict[str, Any] | None:
    """Train a cell in its folder, or go on with its training, and measure it; None if the training was interrupted.

    Raises:
        UsageError, DataError, WeightsError: as of `sase-gan train` and `evaluate`.
    """
    from sase_gan.evaluation.options import EvaluationOptions
    from sase_gan.evaluation.run import run_evaluation
    from sase_gan.networks.load import load_network
    from sase_gan.runs.folder import RunFolder

    run = RunFolder(folder / "run")
    if train(cell, folder, device, threads):
        return None
    told = _clock(run)
    options = EvaluationOptions(
        run.finished if run.finished.is_dir() else run.path,
        out=folder / "evaluation",
        count=cell.count,
        extractors=("efflite0",),
        metrics=_GROUPS,
        baseline=False,
        device=device,
    )
    record = run_evaluation(options).record
    figures = {name: metric.value for name, metric in record.metrics.items() if metric.measured}
    network = load_network(run.chosen_snapshot())
    figures |= _gate_figures(network)
    # A finished cell goes on no more, and its checkpoints are many times its snapshot.
    shutil.rmtree(run.checkpoint.parent, ignore_errors=True)
    return {
        "figures": {name: value for name, value in figures.items() if not name.endswith("_reference")},
        "levels": {name: value for name, value in figures.items() if "_reference" in name},
        "copying": record.colour("copying"),
        "flattered": bool(record.model and record.model.extractor_used_in_training),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        **told,
        "grid": f"evaluation/{record.pictures.fakes}",
    }


def train(cell: Cell, folder: Path, device: str, threads: int | None) -> bool:
    """Train a cell in the folder's `run`, or go on from its checkpoint; tell whether it was interrupted."""
    from sase_gan.runs import train as training
    from sase_gan.runs.folder import RunFolder
    from sase_gan.runs.request import TrainRequest

    run = folder / "run"
    common: dict[str, Any] = {"device": device, "threads": threads, "figures": False}
    if RunFolder(run).checkpoint.is_file():
        return training.train(TrainRequest(resume=run, **common)).interrupted
    shutil.rmtree(run, ignore_errors=True)
    settings = cell.settings
    if not _is_instant(cell.preset):
        settings = merge({"schedule": {**_BARE, **cell.schedule}, "finish": _UNFINISHED}, settings)
    else:
        settings = merge({"schedule": {"evaluation_count": 0}}, _known_to_instant(settings))
    file = folder / "settings.yaml"
    _write_yaml(file, settings)
    request = TrainRequest(Path(cell.path), run, cell.preset, config=file, seed=cell.seed, **common)
    return training.train(request).interrupted


def _is_instant(preset: str) -> bool:
    return (
        preset.removeprefix("smoke/").startswith("instant")
        or (preset_folder() / "instant" / f"{preset}.yaml").is_file()
    )


def _known_to_instant(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out the settings of networks: an arm without training stands in a study of trained ones."""
    from sase_gan.training.instant_config import InstantConfig

    return {key: value for key, value in settings.items() if key in InstantConfig.model_fields and key != "schedule"}


def _write_yaml(path: Path, settings: dict[str, Any]) -> None:
    import yaml

    with write_atomically(path) as temporary:
        temporary.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def _clock(run: RunFolder) -> dict[str, Any]:
    """Read images seen and CPU seconds; a model without training has neither."""
    from sase_gan.runs.checkpoints import find_checkpoint

    found = find_checkpoint(run)
    if found is None:
        return {}
    clock = found.content["clock"]
    return {"images_seen": clock["images_seen"], "cpu_seconds": round(clock["cpu_seconds"], 1)}


def _gate_figures(network: Any) -> dict[str, float]:
    """Measure the SASE gates of a generator that has some."""
    from sase_gan.drawing.gate_figures import gate_figures
    from sase_gan.networks.generator import Generator

    if not isinstance(network, Generator) or not network.sase_gates():
        return {}
    return gate_figures(network).summary()
