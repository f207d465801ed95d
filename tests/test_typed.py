"""The commands of the README and the guide work: each page is typed from top to bottom, with short settings.

`PICTURES`, `MODEL`, `runs/NAME-001` and the files that a page names stand for small ones that are made here. The pages
of measurements are not typed, since their commands take hours; that their options exist is tests/test_readme.py's.
"""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from typer.testing import CliRunner

import sase_gan
from sase_gan import cli
from sase_gan.films import write_mp4
from tests.test_music import as_mp3, clicks

ROOT = Path(__file__).resolve().parents[1]
GUIDE = "first_five_minutes your_own_pictures reading_a_report studio with_a_model exporting instant"
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in GUIDE.split())]
ELSEWHERE = {
    "sase-gan studio": "ui/test_server.py",
    "sase-gan demo": "test_packaging.py",
    "sase-gan data fetch panda": "datasets/test_fetching.py",
    "sase-gan export web": "exporting/test_page.py",
    "sase-gan push MODEL OWNER/NAME --evaluation": "api/test_hub.py",
    "sase-gan pull": "api/test_hub.py",
    "sase-gan bench instant": "runs/test_instant_cost.py",
}
"""Lines that need a network, a server or many minutes, and the tests that do the same."""
KNOWN = ("make ", ". .venv/bin/activate", "pip install ", "pipx install ", "python -m http.server ")
"""How lines begin that are not ours to try; of `make`, tests/test_readme.py knows the targets."""
SETS = ("PICTURES", "SCANS", "DRAWINGS")
"""What stands for a folder of pictures, of which a network is trained."""
BUNDLED = {"sase-gan export": "--unfinished", "sase-gan push": "--with-pictures"}
"""What the pages say that these commands need of the bundled model, a finished one."""
SHORTER = {
    "train": ["--threads", "1", "--no-figures"],
    "evaluate": ["--count", "12", "--metrics", "patches", "--no-baseline"],
    "film": ["--rate", "5"],
    "invert": ["--steps", "5", "--reach", "1"],
    "animate": ["--frames", "4"],
}


def lines_of(page: Path) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text().replace("\\\n", " "), re.DOTALL)
    lines = [line.split("# ")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def elsewhere(line: str) -> bool:
    return line.startswith((*ELSEWHERE, *KNOWN))


def test_what_is_not_typed_here_is_tested_elsewhere() -> None:
    assert all((ROOT / "tests" / name).is_file() for name in ELSEWHERE.values())
    lines = [line for page in PAGES for line in lines_of(page)]
    assert all(line.startswith(("sase-gan ", *KNOWN)) for line in lines)
    assert all(any(line.startswith(beginning) for line in lines) for beginning in ELSEWHERE)


def make_pictures(place: Path) -> None:
    """What the pages call PICTURES, in two folders and with labels, and beside it the files that they name."""
    (place / "data").symlink_to(ROOT / "data")
    for name, source in (("faces", "emoji-faces"), ("fruits", "fruits-and-flowers")):
        (place / "PICTURES" / name).mkdir(parents=True)
        for file in sorted((ROOT / "data" / source).glob("*.[pj][np]g"))[:20]:
            shutil.copy(file, place / "PICTURES" / name)
    shutil.copy(ROOT / "data" / "emoji-faces" / "grinning-face.png", place / "PICTURES" / "faces")
    files = sorted(path.relative_to(place / "PICTURES").as_posix() for path in place.glob("PICTURES/*/*"))
    labels = [[file, file.partition("/")[0]] for file in files]
    (place / "PICTURES" / "dataset.json").write_text(json.dumps({"labels": labels}))
    for folder in ("SCANS", "DRAWINGS"):
        (place / folder).symlink_to(place / "PICTURES" / "faces")
    for name in ("PICTURE.png", "scene.png"):
        (place / name).symlink_to(ROOT / "data" / "single" / "coffee.png")
    as_mp3(clicks(place / "song.wav", [0.3], 1.0), place / "song.mp3")
    write_mp4(place / "holiday.mp4", torch.randint(256, (60, 3, 160, 160), dtype=torch.uint8))


def make_masks(place: Path, size: tuple[int, int]) -> None:
    """Pictures and masks of the size of the model that the page has just made."""
    coffee = Image.open(ROOT / "data" / "single" / "coffee.png").convert("RGB").resize(size)
    for name in ("photo.jpg", "picture.png", "pasted.png", "painting.png", "layout.jpg"):
        coffee.save(place / name)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((size[0] // 3, size[1] // 3, size[0] // 2, size[1] // 2), fill=255)
    for name in ("mouth.png", "sky.png", "changed.png", "mask.png", "hole.png"):
        mask.save(place / name)


class Typist:
    """Types lines; `runs/NAME-001` is the run made last, `runs/faces-001` the last of plain `train PICTURES`.

    A run that a line puts elsewhere by `--out` is called by that place.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.newest = self.faces = ""

    def type(self, line: str) -> None:
        words = shlex.split(self._short(line))[1:]
        said = CliRunner().invoke(cli.app, words)
        assert said.exit_code == 0, f"{line}\n{said.output[-1500:]}\n{said.exception!r}"
        made = re.search(r"the run is in (\S+)|the chosen snapshot is (\S+)/snapshots/", said.output)
        if words[0] == "train" and made and "--out" not in words:
            self.newest = made[1] or made[2]
            self.faces = self.newest if line == "sase-gan train PICTURES" else self.faces
            height, width = sase_gan.sample(self.newest, [0], progress=False).pixels.shape[2:]
            make_masks(self.place, (width, height))

    def _short(self, line: str) -> str:
        line = re.sub(r"(--seeds )(\d+)-(\d+)", lambda m: f"{m[1]}{m[2]}-{int(m[2]) + 1}", line)
        line = line.replace("runs/faces-001", self.faces).replace("runs/NAME-001", self.newest)
        needed = next((f" {option}" for command, option in BUNDLED.items() if line.startswith(command)), "")
        line = re.sub(r"\bMODEL\b", f"data/snapshots/emoji-faces{needed}", line)
        line = re.sub(r"\bPICTURE\b", "PICTURE.png", line)
        command = next(word for word in line.split()[1:] if word != "inject")
        more = list(SHORTER.get(command, []))
        if command == "sample" and "--seeds" not in line:
            more += ["--seeds", "0-3"]
        if command == "film" and "--music" not in line:
            more += ["--seconds", "1"]
        if "--resume" in line:
            more += ["--kimg", "0.016"]
        elif command == "train" and "quick" in line:
            more += ["--max-size", "40", "--set", "schedule.iterations=2"]
        elif command == "train" and "instant" not in line and any(name in line for name in SETS):
            more += ["--kimg", "0.008", "--set", "schedule.baseline_images=0"]
        return " ".join([line, *more])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("default")  # as for whoever types it
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path / "cache"))
    make_pictures(tmp_path)
    make_masks(tmp_path, (64, 64))
    typist = Typist(tmp_path)
    for line in lines_of(page):
        if not elsewhere(line):
            typist.type(line)
