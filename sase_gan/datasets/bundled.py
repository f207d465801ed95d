"""Where the picture sets that come with the repository lie."""

from pathlib import Path

from sase_gan.errors import DataError, UsageError

_CHECKOUT = Path(__file__).resolve().parents[2]


def bundled_data(name: str) -> Path:
    """Find the folder of a bundled set, "emoji-faces" or "single", in the checkout that this package runs from.

    Raises:
        DataError: the package was installed without its repository (the sets are no part of it), or has no such set.
        UsageError: a path instead of a name.
    """
    if Path(name).name != name:
        raise UsageError(f"{name!r} was given as a bundled set; a plain name such as 'emoji-faces' is required")
    data = _CHECKOUT / "data"
    if not ((_CHECKOUT / "pyproject.toml").is_file() and data.is_dir()):
        raise DataError(
            f"the bundled set {name!r} comes with the repository, not with the installed package; run from a "
            "checkout or give the path of your own pictures"
        )
    folder = data / name
    if not folder.is_dir():
        known = ", ".join(sorted(entry.name for entry in data.iterdir() if _is_set(entry)))
        raise DataError(f"there is no bundled set {name!r}; the bundled sets are {known}")
    return folder


def _is_set(entry: Path) -> bool:
    return entry.is_dir() and any(entry.glob("*.png"))
