"""A model by any of its names: a snapshot folder, a run folder, or a name on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from sase_gan.errors import DataError
from sase_gan.runs.folder import FINISHED, is_run, open_run
from sase_gan.snapshot import WEIGHTS_FILE, is_snapshot

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def find_snapshot_folder(source: Path | str) -> Path:
    """The folder of a snapshot: the source itself, the chosen one of a run, or a download from the hub.

    Raises:
        DataError: if it is none of these, or the hub cannot give it.
    """
    folder = Path(source)
    if is_snapshot(folder):
        return folder
    if is_run(folder):
        return open_run(folder).chosen_snapshot()
    # A hub name has the shape of a relative path: what exists here, or would lie in a folder here, is not looked up.
    if not folder.parent.exists() and _HUB_NAME.fullmatch(str(source)):
        return _from_hub(str(source))
    what = "does not exist" if not folder.exists() else "is neither a snapshot nor a run folder"
    raise DataError(f"{source} {what}; give a folder such as runs/NAME or runs/NAME/snapshots/000012kimg")


def model_name(source: Path | str) -> str:
    """Return a name for what is made of a model, of each snapshot its own: `RUN-SNAPSHOT`, or that of its folder.

    Raises:
        DataError: if there is no such model.
    """
    folder = find_snapshot_folder(source).resolve()
    in_run = folder.parent.name == "snapshots" and (folder.name == FINISHED or re.fullmatch(r"\d+kimg", folder.name))
    return f"{folder.parent.parent.name}-{folder.name}" if in_run else Path(source).resolve().name


def _from_hub(name: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(name, WEIGHTS_FILE)
        try:
            # Asked first: a download that cannot succeed would try again and again, for half a minute.
            get_hf_file_metadata(hf_hub_url(name, WEIGHTS_FILE), timeout=10)
        except Exception:
            if isinstance(cached, str):
                return Path(cached).parent
            raise
        return Path(hf_hub_download(name, WEIGHTS_FILE)).parent
    except Exception as error:  # the client raises its own, its HTTP library's and the system's
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{name} is no folder here, and no model of that name could be had from the hub ({reason}); give a "
            "snapshot or run folder such as runs/NAME, or check the name and the network"
        ) from error
