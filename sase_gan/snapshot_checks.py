"""A snapshot from anywhere is compared with its own header before memory is taken for it.

Configurations are bounded by their records. What a record describes is built on torch's meta device, where tensors have
shapes and no content, and compared with the shapes in the header of the weights file: what is built in earnest
afterwards is no larger than the file is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sase_gan.errors import DataError, SaseGanError
from sase_gan.finite import not_finite

LARGEST_HEADER = 16 * 2**20
"""Bytes; a header holds a configuration and a line for each tensor."""
_TYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "BOOL": torch.bool,
}


def read_header(weights: Path) -> dict[str, Any]:
    """Read the configuration in the header of a snapshot's weights file, without reading the weights.

    Raises:
        DataError: if the file is missing, is not safetensors (a renamed pickle, for example), or is not one of ours.
    """
    _check_length(weights)
    try:
        with safe_open(weights, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{weights} is not a safetensors file ({printable(error)}); it is damaged or of another format"
        ) from error
    try:
        description = json.loads(header.get("config", ""))
    except (ValueError, RecursionError):
        description = None
    if not isinstance(description, dict) or not {"kind", "network", "provenance"} <= description.keys():
        raise DataError(f"{weights} holds no sase_gan configuration in its header; it was written by another program")
    provenance = description["provenance"]
    data = provenance.get("data") if isinstance(provenance, dict) else None
    for name, value, wanted in (
        ("kind", description["kind"], str),
        ("network", description["network"], dict),
        ("provenance", provenance, dict),
        ("provenance.data", {} if data is None else data, dict),
    ):
        if not isinstance(value, wanted):
            raise DataError(
                f"{weights} has a {type(value).__name__} as {name} in its header, where a {wanted.__name__} belongs; "
                "it was changed after it was written"
            )
    return description


def printable(words: object, longest: int = 300) -> str:
    r"""Write what came from a file on one line of bounded length, without bytes that a terminal obeys.

    Example:
        >>> printable("a\x1b[31mb\nc")
        'a?[31mb c'
    """
    text = " ".join(str(words).split())
    text = "".join(sign if sign.isprintable() else "?" for sign in text[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _check_length(weights: Path) -> None:
    if not weights.is_file():
        raise DataError(
            f"{weights.parent} is not a snapshot: it has no {weights.name}; give a folder below a run's snapshots/"
        )
    try:
        with open(weights, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"{weights} cannot be read ({error.strerror})") from error
    if LARGEST_HEADER < length <= size:
        raise DataError(f"{weights} has a header of {length:,} bytes; at most {LARGEST_HEADER:,} are read")


def check_shapes(network: type[Any], record: BaseModel, weights: Path) -> None:
    """Refuse a file whose tensors are not those that its configuration describes, before any is made.

    Args:
        network: a class that is built from `record` alone.

    Raises:
        DataError: with the first tensors that are missing, too many, or of another shape or type.
    """
    try:
        with torch.device("meta"):
            expected: dict[str, Tensor] = network(record).state_dict()
    except SaseGanError as error:
        raise DataError(f"{weights.parent}: its configuration cannot be built: {printable(error)}") from error
    except Exception as error:  # layers and torch refuse what makes no sense in ways of their own
        words = printable(error) or type(error).__name__
        raise DataError(f"{weights.parent}: its configuration cannot be built: {words}") from error
    with safe_open(weights, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        found = {name: (tuple(one.get_shape()), one.get_dtype()) for name, one in slices.items()}
    wrong = [f'missing key "{name}"' for name in expected.keys() - found.keys()]
    wrong += [f'unexpected key "{printable(name)}"' for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        shape, kind = found[name]
        if shape != tuple(expected[name].shape):
            wrong.append(f"size mismatch for {name}: {list(shape)} and not {list(expected[name].shape)}")
        elif not _may_be_read_as(kind, expected[name]):
            wrong.append(f"{name} is of the type {kind} and not {expected[name].dtype}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise DataError(
            f"{weights.parent}: its tensors are not those of its configuration; the file was changed afterwards "
            f"({'; '.join(sorted(wrong)[:3])}{more})"
        )


def _may_be_read_as(kind: str, wanted: Tensor) -> bool:
    stored = _TYPES.get(kind)
    return stored == wanted.dtype or (stored is not None and stored.is_floating_point and wanted.is_floating_point())


def check_finite(model: Any, where: str, advice: str) -> None:
    """Refuse a model with weights that are no finite numbers: it would draw black pictures.

    Raises:
        DataError: with a few of their names.
    """
    if wrong := not_finite(model.state_dict().items()):
        names = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise DataError(f"{where}: weights are not finite numbers ({names}); {advice}")
