"""ONNX: written by torch's exporter with a free batch, held against the model by ONNX Runtime, with its description.

The packages are an extra of the installation, `export`.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sase_gan.errors import UsageError
from sase_gan.exporting.checking import Agreement, check
from sase_gan.exporting.half import FEWEST_VALUES
from sase_gan.exporting.program import exported_program
from sase_gan.exporting.subject import Subject, Tensors

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20


def check_packages() -> None:
    """Refuse before any work is done where a package is missing.

    Raises:
        UsageError: naming what is missing, and how to install it.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, which ONNX files are made and "
            f"checked with; run: pip install {' '.join(missing)}"
        )


def write_onnx(subject: Subject, path: Path, description: Mapping[str, Any], *, half: bool = False) -> Agreement:
    """Write a model as ONNX to a path, and check it; the caller sees to it that nobody meets half of it.

    Args:
        half: store large weights in 16 bit, which they were rounded to (`half.round_weights`).

    Raises:
        UsageError: a package is missing; SaseGanError: the file disagrees with the model.
    """
    import onnx

    check_packages()
    model = _converted(subject)
    if half:
        _store_in_half(model)
    model.doc_string = str(description.get("card", ""))
    for key, value in description.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return check(subject, session(path, subject), "the ONNX file")


def _converted(subject: Subject) -> Any:
    names = {"input_names": [port.name for port in subject.inputs], "output_names": [p.name for p in subject.outputs]}
    with _quiet():
        program = torch.onnx.export(
            exported_program(subject),
            dynamo=True,
            optimize=True,
            verbose=False,
            external_data=False,
            opset_version=OPSET,
            **names,  # type: ignore[arg-type]
        )
        assert program is not None
        return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what torch's exporter and its packages warn of each other; what matters is checked afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _store_in_half(model: Any) -> None:
    """Store what 16 bit hold exactly in 16 bit, widened again by the graph itself."""
    import onnx
    from onnx import numpy_helper

    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float16)
        if values.size < FEWEST_VALUES or not np.array_equal(narrow.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(narrow, f"{name}_in_half"))
        widened.append(onnx.helper.make_node("Cast", [f"{name}_in_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*widened, *nodes])


def session(path: Path, subject: Subject) -> Any:
    """Open an ONNX file on the CPU, as a function from the tensors of a subject's inputs to those of its outputs."""
    import onnxruntime

    opened = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [port.name for port in subject.inputs]

    def run(inputs: Tensors) -> Tensors:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(result) for result in opened.run(None, given))

    return run


def read_description(path: Path) -> dict[str, str]:
    """Read what an ONNX file says of its model."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load(str(path), load_external_data=False).metadata_props}
