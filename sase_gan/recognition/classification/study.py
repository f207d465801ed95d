"""Variants of layers for one small network, which `studies` compares: same budget, several seeds, mean and spread."""

import shutil
from pathlib import Path
from typing import Any

from sase_gan.recognition.backbones.choices import LAYERS, LayerChoice
from sase_gan.recognition.classification.data import LabelledSet
from sase_gan.recognition.classification.training import fit_classifier
from sase_gan.recognition.settings import ClassifyConfig

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
