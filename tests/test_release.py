"""What `make release-check` looks for: found whole as it is, and missed when it is taken away."""

import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

from tests import release


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (release.ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("which files are the project's is git's knowledge; this is no checkout")
    return tmp_path_factory.mktemp("dist")


def test_one_version_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert release.wrong_versions() == []
    monkeypatch.setattr(release, "__version__", "0.0.9")
    assert [line.split()[0] for line in release.wrong_versions()] == ["CITATION.cff", "CHANGELOG.md"]


def test_the_wheel_is_whole(folder: Path) -> None:
    wheel = release.build("wheel", folder)
    assert release.wrong_in_wheel(wheel) == []
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(folder / "other.whl", "w") as other:
        for name in archive.namelist():
            if name != "sase_gan/presets/low_shot/cpu.yaml":
                other.writestr(name, b"")
        other.writestr("tests/conftest.py", b"")
    assert release.wrong_in_wheel(folder / "other.whl") == [
        "the wheel lacks sase_gan/presets/low_shot/cpu.yaml",
        "the wheel has tests/conftest.py besides the package",
    ]


def test_the_sdist_is_whole(folder: Path) -> None:
    sdist = release.build("sdist", folder)
    # A working tree has files that nobody added yet; whatever is ignored must not travel.
    assert [line for line in release.wrong_in_sdist(sdist) if "lacks" in line or "bytes" in line] == []
    assert not [line for line in release.wrong_in_sdist(sdist) if "/.venv" in line or "__pycache__" in line]


def test_hooks_before_a_commit_are_those_of_make_check() -> None:
    config = yaml.safe_load((release.ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {hook["id"]: hook["entry"].split()[:2] for repo in config["repos"] for hook in repo["hooks"]}
    assert {repo["repo"] for repo in config["repos"]} == {"local"}  # nothing is fetched
    check = (release.ROOT / "Makefile").read_text().split("check: ")[1].split("\n\n")[0].replace("$(BIN)", ".venv/bin")
    for entry in hooks.values():
        assert " ".join(word for word in entry if not word.startswith("-")) in check
    assert set(hooks) == {"ruff-format", "ruff", "mypy"}


@pytest.mark.parametrize("name", ["bug", "question"])
def test_issues_ask_for_the_doctor(name: str) -> None:
    form = yaml.safe_load((release.ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    assert {"name", "description", "body"} <= set(form)
    (doctor,) = [part for part in form["body"] if part["id"] == "doctor"]
    assert "sase-gan doctor" in doctor["attributes"]["label"]
    assert doctor["validations"]["required"]
