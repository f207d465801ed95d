"""The folder that a training run leaves: what lies where, and the small files that say how far it is.

`_EXPLANATION` lists it for whoever finds the folder. Snapshots and grids are named by images seen; the checkpoints
are `last.ckpt` and `previous.ckpt`, each with its SHA-256 beside it.
"""

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically

CONFIG_FILE = "config.yaml"
TRAINING_FILE = "metrics.csv"
RESULTS_FILE = "results.jsonl"

_EXPLANATION = """# A training run of sase_gan

| path | what |
| --- | --- |
| `config.yaml` | every setting, resolved |
| `metrics.csv` | losses, logits and speed over images seen |
| `results.jsonl` | the figures of each snapshot, one record a line |
| `best.json` | the best snapshot that does not copy its training pictures |
| `grids/` | the same seeds at every snapshot; `reals.png` shows the prepared training pictures |
| `grids/instant.png` | what recombining the training pictures alone gives, without training |
| `snapshots/` | published models (safetensors); each is complete in itself |
| `checkpoints/` | to go on with the run |

Go on with it, draw from it, measure it:

    sase-gan train --resume {name}
    sase-gan sample {name} --seeds 0-63 --out samples
    sase-gan evaluate {name} --out evaluation
"""

_INSTANT = """# Pictures without training, made by sase_gan

| path | what |
| --- | --- |
| `config.yaml` | every setting, resolved |
| `results.jsonl` | the figures, one record |
| `grids/` | pictures of the first seeds; `reals.png` shows the prepared training pictures |
| `snapshots/` | the model (safetensors), complete in itself: it **contains the training pictures**, losslessly |

Every region of what it draws comes from one of them: new arrangements, not new matter. Draw from it, measure it:

    sase-gan sample {name} --seeds 0-63 --out samples
    sase-gan evaluate {name} --out evaluation
"""


def kimg(images_seen: int) -> str:
    """Write images seen as a name: `000012kimg`, or `000012.345kimg` off the full thousands."""
    whole, rest = divmod(images_seen, 1000)
    return f"{whole:06d}kimg" if rest == 0 else f"{whole:06d}.{rest:03d}kimg"


def images_of(name: str) -> int | None:
    """Read the images seen that `kimg` wrote into a name; None for another name."""
    match = re.fullmatch(r"(\d{6})(?:\.(\d{3}))?kimg", name)
    return None if match is None else int(match[1]) * 1000 + int(match[2] or 0)


@dataclass
class RunFolder:
    """A run folder knows where each of its files lies."""

    path: Path

    def __post_init__(self) -> None:
        self.config = self.path / CONFIG_FILE
        self.metrics = self.path / TRAINING_FILE
        self.results = self.path / RESULTS_FILE
        self.best = self.path / "best.json"
        self.checkpoint = self.path / "checkpoints" / "last.ckpt"

    def grid(self, images_seen: int) -> Path:
        """The sample grid of a snapshot."""
        return self.path / "grids" / f"{kimg(images_seen)}.png"

    def snapshot(self, images_seen: int) -> Path:
        """The folder of a snapshot."""
        return self.path / "snapshots" / kimg(images_seen)

    def snapshots(self) -> dict[int, Path]:
        """Find all snapshots by images seen, in order."""
        found = ((images_of(folder.name), folder) for folder in (self.path / "snapshots").glob("*kimg"))
        return dict(sorted((images, folder) for images, folder in found if images is not None))

    def create(self, *, trained: bool = True) -> None:
        """Make the folder and its explanation.

        Raises:
            UsageError: if a run is there already.
        """
        if self.config.exists():
            raise UsageError(
                f"{self.path} holds a run already; choose another --out, or go on with --resume {self.path}"
            )
        for name in ("grids", "snapshots", *(("checkpoints",) if trained else ())):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        with write_atomically(self.path / "README.md") as temporary:
            temporary.write_text((_EXPLANATION if trained else _INSTANT).format(name=self.path.name))

    def forget_after(self, images_seen: int) -> None:
        """Drop rows, records and snapshots later than a checkpoint that is resumed; they will be made again."""
        if table := _lines(self.metrics):
            header, *rows = table
            column = header.split(",").index("images_seen") if "images_seen" in header else 0
            kept = [row for row in rows if int(float(row.split(",")[column])) <= images_seen]
            _write_lines(self.metrics, [header, *kept])
        if records := _lines(self.results):
            kept = [line for line in records if json.loads(line)["model"]["images_seen"] <= images_seen]
            _write_lines(self.results, kept)
        for images, folder in self.snapshots().items():
            if images > images_seen:
                shutil.rmtree(folder)
                self.grid(images).unlink(missing_ok=True)

    def records(self) -> list[dict[str, Any]]:
        """Read the figures of the snapshots, oldest first."""
        return [json.loads(line) for line in _lines(self.results)]

    def append_record(self, record: Mapping[str, Any]) -> None:
        """Add the figures of a snapshot."""
        _write_lines(self.results, [*_lines(self.results), json.dumps(record, allow_nan=False)])

    def chosen_snapshot(self) -> Path:
        """Find the best snapshot that does not copy; without figures, the last.

        Raises:
            DataError: if the run has no snapshot.
        """
        snapshots = self.snapshots()
        if not snapshots:
            raise DataError(f"{self.path} has no snapshot yet; let the run go on until its first one")
        if self.best.exists():
            named = self.path / "snapshots" / json.loads(self.best.read_text())["snapshot"]
            if named.is_dir():
                return named
        return snapshots[max(snapshots)]


def open_run(path: Path | str) -> RunFolder:
    """Open the run in a folder.

    Raises:
        DataError: if there is none.
    """
    run = RunFolder(Path(path))
    if not run.config.is_file():
        raise DataError(f"{path} holds no run (no config.yaml); give a folder that sase-gan train wrote")
    return run


def is_run(path: Path | str) -> bool:
    """Tell whether the folder is a training run, whole or what was kept of one.

    It holds figures of snapshots (`results.jsonl`), or a configuration (`config.yaml`) beside snapshots or a training
    log. This is the only place that decides.
    """
    run = RunFolder(Path(path))
    begun = (run.path / "snapshots").is_dir() or run.metrics.is_file()
    return run.results.is_file() or (run.config.is_file() and begun)


def next_free(parent: Path, name: str) -> Path:
    """Find the first of `name-001`, `name-002`, ... that does not exist in `parent`."""
    paths = (parent / f"{name}-{number:03d}" for number in count(1))
    return next(path for path in paths if not path.exists())


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))
