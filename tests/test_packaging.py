"""The wheel carries the presets and works from elsewhere, without the checkout."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from sase_gan.config import list_presets


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    program = f"import hatchling.build; print(hatchling.build.build_wheel({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def _run(installed: Path, cwd: Path, program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    # -S drops the development checkout from the path and with it the packages, which are added back by hand.
    packages = [path for path in sys.path if path.endswith("site-packages")]
    program = f"import sys; sys.path += {packages!r}; {program}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_wheel_lists_the_same_presets(installed: Path, tmp_path: Path) -> None:
    output = _run(
        installed, tmp_path, "import sase_gan, sase_gan.config as c; print(sase_gan.__file__); print(c.list_presets())"
    )
    place, presets = output.splitlines()
    assert place.startswith(str(installed))
    assert presets == str(list_presets())


def test_the_wheel_holds_the_package_alone(installed: Path) -> None:
    top = {path.name for path in installed.iterdir()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"sase_gan"}
    assert (installed / "sase_gan" / "py.typed").exists()
    assert list((installed / "sase_gan" / "report" / "templates").iterdir())


def test_the_wheel_trains_from_elsewhere(installed: Path, tmp_path: Path, repository: Path) -> None:
    faces = repository / "data" / "emoji-faces"
    arguments = ["train", str(faces), "--preset", "smoke/low_shot", "--kimg", "0.008", "--no-figures", "--out", "run"]
    _run(installed, tmp_path, f"sys.argv = ['sase-gan', *{arguments!r}]; from sase_gan.cli import main; main()")
    assert (tmp_path / "run" / "snapshots").is_dir()


def test_the_wheel_carries_faces_shapes_single_pictures_and_snapshots(installed: Path, tmp_path: Path) -> None:
    program = "from sase_gan.datasets.sources import bundled_data, bundled_sets as s; print([p.name for p in s()])"
    assert _run(installed, tmp_path, program).split() == ["['emoji-faces',", "'single']"]
    assert (installed / "sase_gan" / "bundled" / "snapshots" / "emoji-faces" / "config.json").is_file()
    assert list((installed / "sase_gan" / "bundled" / "shapes").rglob("*.png"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_wheel_goes_the_whole_way_once(installed: Path, tmp_path: Path) -> None:
    arguments = ["demo", "--kimg", "0.016", "--out", "run", "--threads", "1"]
    told = _run(installed, tmp_path, f"sys.argv = ['sase-gan', *{arguments!r}]; from sase_gan.cli import main; main()")
    places = dict(line.rsplit(maxsplit=1) for line in told.splitlines()[-4:])
    assert list(places) == ["training pictures", "without training", "samples", "report"]
    assert all((tmp_path / place).is_file() for place in places.values())


def test_a_hosted_demo_asks_for_what_the_package_asks_for(repository: Path) -> None:
    lines = (repository / "requirements.txt").read_text().splitlines()
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert [line for line in lines if not line.startswith("#")] == project["dependencies"]


def test_the_container_file_copies_what_the_installation_needs(repository: Path) -> None:
    lines = (repository / "Containerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert all((repository / name).exists() for name in copied)
    project = (repository / "pyproject.toml").read_text()
    assert {"README.md", "LICENSE", "configs", "data", "sase_gan"} <= set(copied)
    assert all(f'"{name}' in project or name == "constraints.txt" or name == "pyproject.toml" for name in copied)
