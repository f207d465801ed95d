"""PT2, torch's own exported programs: written by `torch.export.save`, read by `torch.export.load`; no TorchScript."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.exporting.checking import Agreement, check
from sase_gan.exporting.half import StoredInHalf
from sase_gan.exporting.program import exported_program
from sase_gan.exporting.subject import Subject, Tensors

DESCRIPTION = "sase_gan.json"
"""Name of the description within the file."""


def write_pt2(subject: Subject, path: Path, description: Mapping[str, Any], *, half: bool = False) -> Agreement:
    """Write a model as a PT2 file to a path, and check it; the caller sees to it that nobody meets half of it.

    Args:
        half: store large weights in 16 bit, which they were rounded to (`half.round_weights`).

    Raises:
        SaseGanError: the file disagrees with the model.
    """
    # Rounded weights stay exact, and the original is still needed for the check: a copy is narrowed.
    from copy import deepcopy

    program = exported_program(subject, StoredInHalf(deepcopy(subject.module)) if half else None)
    with warnings.catch_warnings():
        # Of parts of one tensor that are stored once; the check below says whether they came back.
        warnings.filterwarnings("ignore", "No complete tensor found in the group", UserWarning)
        torch.export.save(program, path, extra_files={DESCRIPTION: json.dumps(dict(description))})
    loaded = torch.export.load(path).module()

    @torch.no_grad()
    def run(inputs: Tensors) -> Tensors:
        found = loaded(*inputs)
        return (found,) if isinstance(found, Tensor) else tuple(found)

    return check(subject, run, "the PT2 file")


def read_pt2_description(path: Path) -> dict[str, Any]:
    """Read what a PT2 file says of its model."""
    extra = {DESCRIPTION: ""}
    torch.export.load(path, extra_files=extra)
    found: dict[str, Any] = json.loads(extra[DESCRIPTION])
    return found
