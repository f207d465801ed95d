"""A proof that a refactoring changed no result: `make same BASE=<commit>`, or `python tests/same.py <commit>`.

The program is run at two places through its command line, at the commit BASE (checked out into a temporary folder) and
as it lies here: training of both smoke presets, samples and walks of the two models, evaluations of the runs and of
folders of pictures. What it left is then compared bit for bit:

    weights      every tensor of the snapshots
    checkpoints  every tensor and value of the checkpoints, those of the optimisers included, without processor time
    pictures     every pixel of samples, grids, sheets and walks
    figures      every value of metrics.json, results.jsonl and best.json, without times, commands, paths and versions
    training     every row of the training's metrics.csv, without times, speed and memory
    settings     every value of config.json and config.yaml

A weights file, checkpoint, picture or metrics.json on one side only is a difference, and so is a kind of which nothing
was compared. Merely listed are: other files on one side only (`only`), settings that BASE alone has (`gone`), and
settings and fields of figures that are here alone (`new`). The exit status is 0 if all is equal, else 1.

What BASE left is kept in the system's temporary directory, under the commit and a hash of the plan, the pictures and
the libraries, so that only its first use costs its time.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import torch
import yaml
from PIL import Image, ImageSequence
from safetensors.torch import load_file
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[1]
SET = "data/emoji-faces"
PICTURE = "data/single/coffee.png"
ONE_THREAD = "--threads 1 --device cpu"

# Only options that the first commits have too. Names of outputs are relative, so that both sides say the same. "copy"
# is no command of the program: it leaves a folder of samples without their grid, which is of another size.
PLAN = (
    f"train {SET} --preset smoke/low_shot --out set --seed 3 --set schedule.total_images=160 "
    f"--set schedule.snapshot_images=80 {ONE_THREAD}",
    f"train {PICTURE} --preset smoke/one_shot --out one --max-size 48 --set schedule.iterations=14 {ONE_THREAD}",
    f"sample set --seeds 0-11 --out set-samples {ONE_THREAD}",
    f"sample set --seeds 0-2 --truncation 0.6 --noise fixed --out set-truncated {ONE_THREAD}",
    f"sample set --seeds 0,1 --walk 3 --out set-walk {ONE_THREAD}",
    f"sample one --seeds 0-5 --out one-samples {ONE_THREAD}",
    f"sample one --seeds 0,1 --width 72 --height 40 --start-scale 1 --finished-stages 1 --out one-wide {ONE_THREAD}",
    "copy set-samples set-pictures",
    "copy one-samples one-pictures",
    "evaluate set --count 16 --out set-evaluation --no-cache --device cpu",
    f"evaluate set-pictures --real {SET} --out set-pictures-evaluation --no-cache --device cpu",
    "evaluate one --count 6 --out one-evaluation --no-cache --device cpu",
    f"evaluate one-pictures --real {PICTURE} --out one-pictures-evaluation --no-cache --device cpu",
)

KINDS = ("weights", "checkpoints", "pictures", "figures", "training", "settings")
# "sase_gan" is the version in a config.json.
IGNORED_KEYS = {"seconds", "timing", "created", "command", "path", "versions", "sase_gan"}
# The digest of a weights file changes with its settings; its tensors and settings are compared themselves. The clock of
# a checkpoint holds the processor time that its run took, which is another in every run; the setting of that name,
# under "schedule", is compared. Torch's counter of an average was counted once, and is read by nobody.
IGNORED_ENDS = ("model/digest", "clock/cpu_seconds")
IGNORED_TENSORS = ("average.n_averaged",)
IGNORED_COLUMNS = {"seconds", "cpu_seconds", "images_per_second", "peak_memory_mb"}
SENTENCES = {"meaning", "reason", "text", "rule", "notes", "disagreement", "interval"}


@dataclass
class Findings:
    """What comparing the files of one kind found."""

    files: int = 0
    items: int = 0
    differences: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Run both sides, compare, print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the commit whose results are the truth")
    parser.add_argument("--keep", action="store_true", help="keep what this side left, and say where both sides lie")
    parser.add_argument("--words", action="store_true", help="only list sentences that changed in figures")
    arguments = parser.parse_args()

    base = base_side(arguments.base)
    new = Path(tempfile.mkdtemp(prefix="sase_gan-same-new-"))
    try:
        run_plan(REPOSITORY, new)
        findings = compare(base, new, words=arguments.words)
    finally:
        if arguments.keep:
            print(f"BASE lies in {base}, this side in {new}")
        else:
            shutil.rmtree(new)
    print(table(findings))
    return 1 if any(found.differences for found in findings.values()) else 0


# Running


def base_side(name: str) -> Path:
    """The folder with what the commit left: from an earlier time, or made now."""
    git = ("git", "-C", str(REPOSITORY))
    asked = subprocess.run([*git, "rev-parse", "--verify", f"{name}^{{commit}}"], capture_output=True, text=True)
    if asked.returncode:
        sys.exit(f"BASE is {name!r}, but must be a commit of this repository; see git log")
    commit = asked.stdout.strip()
    folder = Path(tempfile.gettempdir()) / "sase_gan-same" / f"{commit[:12]}-{plan_hash()}"
    if folder.is_dir():
        print(f"BASE {commit[:12]} from {folder}", file=sys.stderr)
        return folder
    folder.parent.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    tree = work / "tree"
    try:
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(tree), commit], check=True)
        run_plan(tree, work / "left")
        if not folder.is_dir():  # another run may have made it meanwhile
            (work / "left").rename(folder)
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=False)
        shutil.rmtree(work)
    return folder


def plan_hash() -> str:
    """A hash of all that decides the results besides the code: commands, pictures and libraries."""
    digest = hashlib.sha256("\n".join(PLAN).encode())
    for path in [*sorted((REPOSITORY / SET).glob("*.png")), REPOSITORY / PICTURE]:
        digest.update(path.name.encode() + path.read_bytes())
    libraries = [version(name) for name in ("torch", "torchvision", "numpy", "pillow", "lightning", "timm")]
    digest.update(f"{sys.version} {libraries}".encode())
    return digest.hexdigest()[:12]


def run_plan(tree: Path, folder: Path) -> None:
    """Run every command of the plan with the package of a tree, in a folder; both sides use the pictures of this one.

    Weights are looked for in no place but the installed packages, so that equal commits give equal figures anywhere.
    """
    folder.mkdir(exist_ok=True)
    (folder / "data").symlink_to(REPOSITORY / "data")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    places = {
        "PYTHONPATH": str(tree),
        "SASE_GAN_CACHE": str(folder / "cache"),
        "SASE_GAN_WEIGHTS": "",
        "TORCH_HOME": str(folder / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    environment = {**os.environ, **threads, **places}
    here = _run(["-c", "import sase_gan; print(sase_gan.__file__)"], tree, folder, environment).strip()
    if not Path(here).is_relative_to(tree):
        sys.exit(f"the package came from {here}, but must come from {tree}; check the installation")
    for step in PLAN:
        started = time.monotonic()
        command, *arguments = step.split()
        if command == "copy":
            shutil.copytree(folder / arguments[0], folder / arguments[1], ignore=shutil.ignore_patterns("grid.png"))
            continue
        _run(["-m", "sase_gan", command, *arguments], tree, folder, environment)
        print(f"{time.monotonic() - started:5.1f} s  {step}", file=sys.stderr)


def _run(arguments: list[str], tree: Path, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"failed in {tree}: {' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


# Comparing


def compare(base: Path, new: Path, *, words: bool = False) -> dict[str, Findings]:
    """What differs between the folders of two sides, by kind.

    Args:
        words: sentences that changed in figures are listed, but are no difference.
    """
    findings = {kind: Findings() for kind in KINDS}
    sides = [{path.relative_to(side): path for path in _files(side)} for side in (base, new)]
    for relative in sorted(sides[0].keys() | sides[1].keys()):
        if (kind := kind_of(relative)) is None:
            continue
        paths = [side.get(relative) for side in sides]
        if paths[0] is None or paths[1] is None:
            text = f"{relative}: only {'here' if paths[0] is None else 'at BASE'}"
            if kind in ("weights", "checkpoints", "pictures") or relative.name == "metrics.json":
                findings[kind].differences.append(text)
            else:
                findings[kind].notes[text] += 1
            continue
        left, right = (flat(READERS[kind](path)) for path in (paths[0], paths[1]))
        if kind == "training" and not (left and right):  # the table of an evaluation, which has the same name
            continue
        findings[kind].files += 1
        _compare_values(kind, str(relative), left, right, findings[kind], words=words)
    for kind, found in findings.items():
        if not found.items and not found.differences:
            found.differences.append(f"no {kind} were compared")
    return findings


def kind_of(path: Path) -> str | None:
    """Under which heading a file is compared; None if it is not."""
    names = {
        "metrics.json": "figures",
        "results.jsonl": "figures",
        "best.json": "figures",
        "metrics.csv": "training",
        "config.json": "settings",
        "config.yaml": "settings",
    }
    suffixes = {".safetensors": "weights", ".ckpt": "checkpoints"} | dict.fromkeys((".png", ".gif", ".mp4"), "pictures")
    return names.get(path.name) or suffixes.get(path.suffix)


def flat(value: Any, where: str = "") -> dict[str, Any]:
    """Nested records and lists as one, with names such as `metrics/fid/value`."""
    if isinstance(value, Mapping):
        return {
            name: leaf for key, part in value.items() for name, leaf in flat(part, f"{where}/{key}".strip("/")).items()
        }
    if isinstance(value, list | tuple):
        leaves = {f"{where}/length".strip("/"): len(value)}
        for place, part in enumerate(value):
            leaves |= flat(part, f"{where}/{place}".strip("/"))
        return leaves
    return {where: value}


def equal(left: Any, right: Any) -> bool:
    """Whether two leaves are equal to the bit; a whole number may be written as a decimal."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if (left.dtype, left.shape) != (right.dtype, right.shape):
            return False
        return torch.equal(*(part.contiguous().reshape(-1).view(torch.uint8) for part in (left, right)))
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if {type(left), type(right)} <= {int, float}:
        return float(left).hex() == float(right).hex()
    return type(left) is type(right) and bool(left == right)


def _compare_values(
    kind: str, file: str, left: Mapping[str, Any], right: Mapping[str, Any], found: Findings, *, words: bool
) -> None:
    for name in [*left, *(name for name in right if name not in left)]:
        strict = isinstance(left.get(name, right.get(name)), Tensor | np.ndarray)
        if not strict and (IGNORED_KEYS & set(name.split("/")) or name.endswith(IGNORED_ENDS)):
            continue
        if name.endswith(IGNORED_TENSORS):
            continue
        if name not in right:
            if strict or kind in ("figures", "training"):
                found.differences.append(f"{file}: {name}: only at BASE")
            else:
                found.notes[f"gone: {name}={_short(left[name])}"] += 1
        elif name not in left:
            if strict or kind == "training":
                found.differences.append(f"{file}: {name}: only here")
            else:
                found.notes[f"new: {name.rpartition('/')[2]}"] += 1
        elif equal(left[name], right[name]):
            found.items += 1
        elif words and kind == "figures" and SENTENCES & set(name.split("/")):
            found.notes[f"words: {name}: {right[name]}"] += 1
        else:
            found.differences.append(f"{file}: {name}: {_contrast(left[name], right[name])}")


def _contrast(left: Any, right: Any) -> str:
    if isinstance(left, Tensor | np.ndarray) and isinstance(right, Tensor | np.ndarray):
        left, right = np.asarray(left), np.asarray(right)
        if left.shape != right.shape or left.dtype != right.dtype:
            return f"{left.dtype} {left.shape} became {right.dtype} {right.shape}"
        apart = np.abs(left.astype(float) - right.astype(float))
        return f"{np.count_nonzero(left != right)} of {left.size} values differ, by up to {apart.max():.3g}"
    return f"{_short(left)} became {_short(right)}"


def _short(value: Any) -> str:
    text = f"tensor {tuple(value.shape)}" if isinstance(value, Tensor | np.ndarray) else repr(value)
    return text if len(text) <= 70 else f"{text[:67]}..."


def _files(side: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(side):  # which, unlike rglob, goes past the link to the pictures
        yield from (Path(folder) / name for name in names)


# Reading


def _read_picture(path: Path) -> dict[str, Any]:
    if path.suffix == ".mp4":
        return {"frames": imageio.imread(path, plugin="pyav")}
    with Image.open(path) as image:
        return {
            f"frame {i}": {"mode": f.mode, "pixels": np.asarray(f)} for i, f in enumerate(ImageSequence.Iterator(image))
        }


def _read_figures(path: Path) -> Any:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return json.loads(path.read_text())


def _read_training(path: Path) -> dict[str, Any]:
    """The rows of a training's table by images seen; nothing for another table."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "images_seen" not in rows[0]:
        return {}
    return {
        f"row {place}": {column: text for column, text in row.items() if column not in IGNORED_COLUMNS}
        for place, row in enumerate(rows)
    }


def _read_checkpoint(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


READERS: dict[str, Callable[[Path], Any]] = {
    "weights": load_file,
    "checkpoints": _read_checkpoint,
    "pictures": _read_picture,
    "figures": _read_figures,
    "training": _read_training,
    "settings": lambda path: yaml.safe_load(path.read_text()),  # JSON is YAML
}


# Telling


def table(findings: Mapping[str, Findings]) -> str:
    """The result for reading: a line a kind, then what is merely listed."""
    lines = [f"{'':12}{'files':>6}{'items':>8}  result"]
    for kind, found in findings.items():
        more = f" (and {len(found.differences) - 1} more)" if len(found.differences) > 1 else ""
        result = f"DIFFERENT: {found.differences[0]}{more}" if found.differences else "equal"
        lines.append(f"{kind:12}{found.files:6}{found.items:8}  {result}")
    for kind, found in findings.items():
        lines += [f"{kind}: DIFFERENT: {difference}" for difference in found.differences[1:]]
        lines += [f"{kind}: {note}{f' ({times} times)' if times > 1 else ''}" for note, times in found.notes.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
