"""Comparing layers on one small network: same budget, several seeds, mean and spread."""

import json
import logging
import shutil
import statistics
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from sase_gan.config import build, merge
from sase_gan.errors import UsageError
from sase_gan.files import write_atomically
from sase_gan.recognition.backbones.choices import LAYERS, LayerChoice
from sase_gan.recognition.classification.data import LabelledSet
from sase_gan.recognition.classification.training import fit_classifier
from sase_gan.recognition.settings import ClassifyConfig

logger = logging.getLogger(__name__)


# Attention of as many groups as small networks have room for.
_EMSA = LayerChoice(attention="emsa", attention_groups=8)
VARIANTS = {
    **LAYERS,
    "emsa": _EMSA,
    "sase_scaled": LayerChoice(conv="sase", gate_scale="channels"),
    "emsa_mended": _EMSA.model_copy(update={"attention_variant": "pre_norm_pool"}),
    "an_emsa": _EMSA.model_copy(update={"norm": "attentive"}),
}
"""Name of a variant to its layers."""

Fit = Callable[[ClassifyConfig, Path], dict[str, Any]]


def run_study(config: ClassifyConfig, variants: Sequence[str], seeds: Sequence[int], folder: Path, fit: Fit) -> None:
    """Train each variant with each seed and append a record each to `study.jsonl`; what is there already is kept.

    Args:
        config: of every run; only the layers and the seed change.
        variants: names in `VARIANTS`.
        seeds: one run each; in the outer loop, so that an interrupted study has complete rounds.
        folder: of the study; each run has a folder in it.
        fit: trains a config into a folder and returns its record.

    Raises:
        UsageError: for an unknown variant, or a folder with a study of another config.
    """
    unknown = sorted(set(variants) - set(VARIANTS))
    if unknown:
        raise UsageError(f"variant {', '.join(unknown)} is unknown; known are {', '.join(VARIANTS)}")
    path = folder / "study.jsonl"
    shared = config.model_dump(mode="json")
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if records and build(ClassifyConfig, records[0]["config"]) != config:
        raise UsageError(f"{path} holds a study with another configuration; choose another folder")
    done = {(record["variant"], record["seed"]) for record in records}
    folder.mkdir(parents=True, exist_ok=True)
    for seed, variant in product(seeds, variants):
        if (variant, seed) not in done:
            chosen = merge(shared, {"seed": seed, "backbone": {"layers": VARIANTS[variant].model_dump(mode="json")}})
            scores = fit(build(ClassifyConfig, chosen), folder / f"{variant}-{seed}")
            record = {"variant": variant, "seed": seed, **scores, "config": shared}
            records.append(record)
            with path.open("a") as file:
                file.write(json.dumps(record) + "\n")
            logger.info("%s, seed %d: top-1 %.2f %%", variant, seed, 100 * record["top1"])
    _write_table(records, folder / "study.md")


def trained_record(
    config: ClassifyConfig, folder: Path, train_set: LabelledSet, held_out: LabelledSet, device: str
) -> dict[str, Any]:
    """Train a config anew into a folder and return its record; a run without a record was interrupted."""
    shutil.rmtree(folder, ignore_errors=True)
    result = fit_classifier(config, train_set, held_out, folder, device=device)
    return {
        **{name: result.scores[name] for name in ("top1", "loss", "calibration_error")},
        "seconds": result.seconds,
        "parameters": sum(p.numel() for p in result.network.parameters()),
    }


def _write_table(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Write mean and spread of each variant as a Markdown table.

    The spread is the sample standard deviation over seeds; the difference to `bn` is paired by seed, with the
    standard error of its mean.
    """
    lines = [
        "| layers | parameters | runs | top-1 % | std | difference to bn | standard error | seconds a run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    base = {record["seed"]: record["top1"] for record in records if record["variant"] == "bn"}
    for variant in dict.fromkeys(record["variant"] for record in records):
        runs = [record for record in records if record["variant"] == variant]
        scores = [100 * run["top1"] for run in runs]
        paired = [100 * (run["top1"] - base[run["seed"]]) for run in runs if run["seed"] in base]
        spread = f"{statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
        difference = "" if variant == "bn" or not paired else f"{statistics.fmean(paired):+.2f}"
        known = difference and len(paired) > 1
        error = f"{statistics.stdev(paired) / len(paired) ** 0.5:.2f}" if known else ""
        lines.append(
            f"| {variant} | {runs[0]['parameters']:,} | {len(runs)} | {statistics.fmean(scores):.2f} | "
            f"{spread} | {difference} | {error} | {statistics.fmean(run['seconds'] for run in runs):.0f} |"
        )
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")
