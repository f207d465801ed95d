"""The folder that a training run leaves: what lies where, and the small files that say how far it is.

`_EXPLANATION` lists it for whoever finds the folder. Snapshots and grids are named by images seen; the checkpoints
are `last.ckpt` and `previous.ckpt`, each with its SHA-256 beside it.
"""

import json
import re
import shlex
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically

CONFIG_FILE = "config.yaml"
TRAINING_FILE = "metrics.csv"
RESULTS_FILE = "results.jsonl"
WARNINGS_FILE = "warnings.txt"
FINISHED = "finished"
"""Name, beside those of images seen, of the snapshot whose pictures are finished with patches."""
_NOTE = " images: "

_EXPLANATION = """# A training run of sase_gan

| path | what |
| --- | --- |
| `config.yaml` | every setting, resolved |
| `metrics.csv` | losses, logits and speed over images seen |
| `results.jsonl` | the figures of each snapshot, one record a line |
| `warnings.txt` | what was worth a warning in the course of the run, where anything was |
| `best.json` | the best snapshot that does not copy its training pictures |
| `grids/` | the same seeds at every snapshot; `reals.png` shows the prepared training pictures |
| `pictures.sha256` | digests of the prepared training pictures, to know them by when they have moved |
| `run.lock` | there while a process trains here |
| `grids/instant.png` | what recombining the training pictures alone gives, without training |
| `snapshots/` | published models (safetensors); each is complete in itself |
| `snapshots/finished/` | the best one once more, its pictures finished with patches: it **contains the training \
pictures**, the others do not |
| `grids/finished.png`, `finished.json` | pictures and figures of that |
| `checkpoints/` | to go on with the run |

Go on with it, draw from it, measure it, from the folder in which it was begun:

    sase-gan train --resume {run}
    sase-gan sample {run} --seeds 0-63
    sase-gan evaluate {run} --out evaluation
"""

_INSTANT = """# Pictures without training, made by sase_gan

| path | what |
| --- | --- |
| `config.yaml` | every setting, resolved |
| `results.jsonl` | the figures, one record |
| `grids/` | pictures of the first seeds; `reals.png` shows the prepared training pictures |
| `snapshots/` | the model (safetensors), complete in itself: it **contains the training pictures**, losslessly |

Every region of what it draws comes from one of them: new arrangements, not new matter. Draw from it, measure it,
from the folder in which it was begun:

    sase-gan sample {run} --seeds 0-63
    sase-gan evaluate {run} --out evaluation
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
        self.warnings = self.path / WARNINGS_FILE
        self.pictures = self.path / "pictures.sha256"
        self.lock = self.path / "run.lock"
        self.finished = self.path / "snapshots" / FINISHED
        self.finished_figures = self.path / "finished.json"
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
            explanation = _EXPLANATION if trained else _INSTANT
            text = explanation.format(run=shlex.quote(str(self.path)))
            temporary.write_text(text, encoding="utf-8", errors="replace")

    def forget_after(
        self, images_seen: int, extra: Collection[int] = (), unmeasured: Collection[int] = ()
    ) -> list[str]:
        """Drop what is later than a checkpoint that is resumed, to be made again, and what is damaged.

        Args:
            extra: images seen of snapshots that are dropped too, though they are not later.
            unmeasured: of snapshots that stay, without their figures.

        Returns:
            A sentence for each file in which something was damaged.
        """
        wrong, notes = set(extra), list[str]()
        self._forget_notes(images_seen)
        header, rows, bad = self._table()
        kept = [row for row in rows if row[0] <= images_seen]
        if len(kept) < len(rows) or bad:
            _write_lines(self.metrics, [header, *(line for _, line in kept)])
        if bad:
            notes.append(f"{bad} damaged rows of {self.metrics} were left out")
        records, bad = self._records()
        usable = [(at, line) for at, line in records if at <= images_seen and at not in wrong.union(unmeasured)]
        if len(usable) < len(records) or bad:
            _write_lines(self.results, [line for _, line in usable])
        if bad:
            notes.append(f"{bad} damaged lines of {self.results} were left out")
        for images, folder in self.snapshots().items():
            if images > images_seen or images in wrong:
                shutil.rmtree(folder)
                self.grid(images).unlink(missing_ok=True)
        return notes

    def _table(self) -> tuple[str, list[tuple[int, str]], int]:
        """Read header and whole rows of the table, each row with its images seen, and count the damaged ones."""
        header, *rows = _lines(self.metrics) or [""]
        columns = header.split(",")
        if rows and "images_seen" not in columns:
            return header, [], len(rows)
        found = []
        for row in rows:
            cells = row.split(",")
            if len(cells) == len(columns):
                with suppress(ValueError, OverflowError):
                    found.append((int(float(cells[columns.index("images_seen")])), row))
        return header, found, len(rows) - len(found)

    def rows(self) -> list[dict[str, str]]:
        """Read the whole rows of the table, oldest first, as text by column."""
        header, rows, _ = self._table()
        return [dict(zip(header.split(","), row.split(","), strict=True)) for _, row in rows]

    def _records(self) -> tuple[list[tuple[int, str]], int]:
        """Read the lines of the records that are whole, each with its images seen, and count the damaged ones."""
        lines, found = _lines(self.results), []
        for line in lines:
            # RecursionError: thousands of brackets.
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                seen = json.loads(line)["model"]["images_seen"]
                if type(seen) is int:
                    found.append((seen, line))
        return found, len(lines) - len(found)

    def records(self) -> list[dict[str, Any]]:
        """Read the figures of the snapshots, oldest first; damaged lines are left out."""
        return [json.loads(line) for _, line in self._records()[0]]

    def append_record(self, record: Mapping[str, Any]) -> None:
        """Add the figures of a snapshot."""
        _write_lines(self.results, [*_lines(self.results), json.dumps(record, allow_nan=False)])

    def measured(self) -> list[int]:
        """List the images seen of the snapshots that have figures, in the order of the records."""
        return [seen for seen, _ in self._records()[0]]

    def add_note(self, images_seen: int, sentence: str) -> bool:
        """Keep a warning for the run's page; False if it was given before."""
        before = _lines(self.warnings)
        if any(line.partition(_NOTE)[2] == sentence for line in before):
            return False
        _write_lines(self.warnings, [*before, f"{images_seen:,}{_NOTE}{sentence}"])
        return True

    def _forget_notes(self, images_seen: int) -> None:
        lines = _lines(self.warnings)
        kept = [line for line in lines if _note_clock(line) <= images_seen]
        if len(kept) < len(lines):
            _write_lines(self.warnings, kept)

    def chosen_snapshot(self) -> Path:
        """Find the best snapshot that does not copy; without figures, the last.

        Raises:
            DataError: if the run has no snapshot.
        """
        snapshots = self.snapshots()
        if not snapshots:
            raise DataError(f"{self.path} has no snapshot yet; let the run go on until its first one")
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # a damaged file names none
            # A name, and never a path: a file from elsewhere cannot lead out of the run.
            named = images_of(str(json.loads(self.best.read_text(encoding="utf-8"))["snapshot"]))
            if named in snapshots:
                return snapshots[named]
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


def claim(parent: Path, name: str) -> Path:
    """Make the first of the folders `name-001`, `name-002`, ... that nobody else makes first."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        path = next_free(parent, name)
        with suppress(FileExistsError):
            path.mkdir()
            return path


def _note_clock(line: str) -> int:
    """Read the images seen with which a warning begins; a damaged one is as old as the run."""
    number = line.partition(_NOTE)[0].replace(",", "")
    return int(number) if number.isascii() and number.isdecimal() else 0


def _lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not empty; damaged bytes become a sign that no number has."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
