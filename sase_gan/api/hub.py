"""Models to the Hugging Face hub and from there: what is sent is shown first, and what comes is read strictly."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sase_gan.api.hub_card import GRID_FILE, card_of, find_record
from sase_gan.api.models import HasFolder, find_snapshot, load_published
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, SaseGanError, UsageError
from sase_gan.files import write_folder_atomically
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import holds_pictures, training_facts
from sase_gan.networks.pyramid import Pyramid
from sase_gan.pixels import write_png
from sase_gan.recombination.model import Recombiner
from sase_gan.sheets import SHEET, grid
from sase_gan.snapshot import CONFIG_FILE, WEIGHTS_FILE, check_replaceable, snapshot_digest

_NAME = re.compile(r"[\w.-]+/[\w.-]+")
CARD_FILE = "README.md"
GRID_SEEDS = 64
FILES = (WEIGHTS_FILE, CONFIG_FILE, CARD_FILE, GRID_FILE)
"""What is sent, and what is taken; nothing else."""


@dataclass(frozen=True)
class Pushed:
    """A model was published, or would be.

    Attributes:
        files: bytes by name.
        card: its text.
        address: of the model's page; None for a dry run.
    """

    name: str
    files: dict[str, int]
    card: str
    address: str | None


def push(
    model: Path | str | HasFolder,
    name: str,
    *,
    licence: str | None = None,
    evaluation: Path | None = None,
    with_pictures: bool = False,
    private: bool = False,
    dry_run: bool = False,
    endpoint: str | None = None,
) -> Pushed:
    """Publish a model on the hub: weights, configuration, card with figures and verdicts, and a sheet of pictures.

    Args:
        model: anything that `load` takes, a classifier or a detector.
        name: `OWNER/NAME`; a model that is there is replaced by a new commit.
        licence: of the training pictures, where the model does not know it.
        evaluation: a folder of `evaluate`; the run's own figures if None.
        with_pictures: a model that holds its training pictures may go out with them.
        private: of a model that is new there.
        dry_run: gather everything and send nothing.
        endpoint: of another hub; HF_ENDPOINT or the public one if None.

    Raises:
        UsageError: a name that is none, no licence, or pictures within that were not allowed.
        DataError: there is no such model, or the evaluation is of another one.
        SaseGanError: the hub did not take it.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"the name is {name!r}; it must be OWNER/NAME")
    snapshot = find_snapshot(model)
    network = load_published(snapshot)
    licence = licence or training_facts(snapshot).get("licence")
    if not licence:
        raise UsageError(
            f"the licence of the pictures that {snapshot} learned from is not stated, and a model is not freer than "
            "they are; state it with --licence, such as CC0-1.0"
        )
    if holds_pictures(network) and not with_pictures:
        raise UsageError(
            f"{snapshot} holds its training pictures, byte for byte, and whoever has the model has them; add "
            "--with-pictures if they may be published"
        )
    record = find_record(snapshot, snapshot_digest(snapshot), evaluation)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copyfile(snapshot / WEIGHTS_FILE, folder / WEIGHTS_FILE)
        if (snapshot / CONFIG_FILE).is_file():
            shutil.copyfile(snapshot / CONFIG_FILE, folder / CONFIG_FILE)
        draws = isinstance(network, Generator | Pyramid | Recombiner)
        if draws:
            write_png(folder / GRID_FILE, grid(sample_images(network, range(GRID_SEEDS)), columns=8), SHEET)
        card = card_of(network, name, record, licence=licence, grid=draws)
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
        files = {file: (folder / file).stat().st_size for file in FILES if (folder / file).is_file()}
        address = None if dry_run else _upload(folder, name, private, endpoint)
    return Pushed(name, files, card, address)


def _upload(folder: Path, name: str, private: bool, endpoint: str | None) -> str:
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint, library_name="sase_gan")

    def sent() -> str:
        hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message="Published with sase_gan")
        return f"{hub.endpoint}/{name}"

    return _asked(sent, f"{name} could not be published", "log in with: hf auth login, and check name and network")


def pull(name: str, out: Path, *, revision: str | None = None, endpoint: str | None = None) -> str:
    """Fetch a model from the hub into a folder, which appears whole, after it was read strictly, or not at all.

    Args:
        out: a new folder, or one of a snapshot, which is replaced.
        revision: a branch, tag or commit; the newest if None.
        endpoint: as of `push`.

    Returns:
        the SHA-256 of the model.

    Raises:
        UsageError: a name that is none, or a folder that holds something else.
        DataError: the hub has no such model, or it is none of this program.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"the name is {name!r}; it must be OWNER/NAME")
    check_replaceable(out)
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint, library_name="sase_gan")
    with tempfile.TemporaryDirectory() as cache, write_folder_atomically(out) as folder:

        def fetched() -> None:
            there = set(hub.list_repo_files(name, revision=revision))
            for file in (WEIGHTS_FILE, *(one for one in FILES[1:] if one in there)):
                shutil.copyfile(hub.hf_hub_download(name, file, revision=revision, cache_dir=cache), folder / file)

        _asked(fetched, f"{name} could not be had from the hub", "check name, revision and network", DataError)
        load_published(folder)
    return snapshot_digest(out)


def _asked(ask: Callable[[], Any], what: str, advice: str, kind: type[SaseGanError] = SaseGanError) -> Any:
    try:
        return ask()
    except Exception as error:  # the client raises its own, its HTTP library's and the system's
        reason = str(error).strip().split("\n")[0]
        raise kind(f"{what} ({reason}); {advice}") from error
