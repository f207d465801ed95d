"""Prove that a release is whole: `python -m tests.release` builds wheel and sdist into dist/ and looks into both.

One version stands in the package, in CITATION.cff and in CHANGELOG.md; the wheel has the presets, templates and licence
and nothing besides the package; the sdist has what a packager needs and nothing that git ignores.
"""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import yaml

from sase_gan import __version__

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    *("README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile"),
    *("constraints.txt", "mkdocs.yml", "docs/index.md", "tests/conftest.py", "data/README.md", "sase_gan/py.typed"),
)
BUNDLED = ("data/emoji-faces", "data/shapes", "data/single", "data/snapshots")
"""What of the pictures and snapshots an installed package carries."""
LARGEST_WHEEL, LARGEST_SDIST = 14_000_000, 25_000_000
"""Bytes; more means that something came along by mistake."""


def wrong_versions() -> list[str]:
    """Say which of the places that name a version names another one than the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    heading = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    named = {"CITATION.cff": citation, "CHANGELOG.md": heading[1] if heading else None}
    return [
        f"{place} says {found}, the package {__version__}" for place, found in named.items() if found != __version__
    ]


def build(kind: str, folder: Path) -> Path:
    """Build the "wheel" or the "sdist" into a folder."""
    program = f"import hatchling.build; print(hatchling.build.build_{kind}({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    return folder / done.stdout.split()[-1]


def wrong_in_wheel(wheel: Path) -> list[str]:
    """Say what a wheel lacks, or has too much."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    presets = {f"sase_gan/presets/{path.relative_to(ROOT / 'configs')}" for path in (ROOT / "configs").rglob("*.yaml")}
    own = {path.relative_to(ROOT).as_posix() for path in _tracked("sase_gan")}
    own |= {
        f"sase_gan/bundled/{path.relative_to(ROOT / 'data').as_posix()}" for name in BUNDLED for path in _tracked(name)
    }
    licence = f"sase_gan-{__version__}.dist-info/licenses/LICENSE"
    lines = [f"the wheel lacks {name}" for name in sorted((presets | own | {licence}) - names)]
    beside = {name for name in names - presets - own if f"-{__version__}.dist-info/" not in name}
    return [
        *lines,
        *(f"the wheel has {name} besides the package" for name in sorted(beside)),
        *_size(wheel, LARGEST_WHEEL),
    ]


def wrong_in_sdist(sdist: Path) -> list[str]:
    """Say what an sdist lacks, or has too much."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {path.relative_to(ROOT).as_posix() for path in _tracked(".")}
    lines = [f"the sdist lacks {name}" for name in NEEDED if name not in names]
    beside = sorted(names - tracked - {"PKG-INFO"})
    return [*lines, *(f"the sdist has {name}, which git does not" for name in beside), *_size(sdist, LARGEST_SDIST)]


def _size(archive: Path, largest: int) -> list[str]:
    size = archive.stat().st_size
    return [f"{archive.name} has {size:,} bytes; at most {largest:,} are expected"] if size > largest else []


def _tracked(folder: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def main() -> None:
    """Build both, look, and say what is wrong."""
    wheel, sdist = build("wheel", ROOT / "dist"), build("sdist", ROOT / "dist")
    wrong = [*wrong_versions(), *wrong_in_wheel(wheel), *wrong_in_sdist(sdist)]
    for archive in (wheel, sdist):
        print(f"{archive.relative_to(ROOT)}  {archive.stat().st_size:,} bytes")
    print("\n".join(wrong) or f"{__version__}: one version everywhere, and both archives are whole")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
