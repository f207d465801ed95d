"""Who imports whom: read from the syntax trees, so that nothing heavy runs."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import sase_gan

ROOT = Path(sase_gan.__file__).parent

DOCUMENT = ROOT.parent / "docs" / "architecture.md"


def rooms() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Rows of the document's table, top first: names of files and packages in sase_gan, and what they must not load."""
    table = DOCUMENT.read_text().split("| room |")[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return [(tuple(re.findall(r"`(\w+)`", row[0])), tuple(re.findall(r"`(\w+)`", row[2]))) for row in cells]


# A module imports from its own room and from rooms above it.
GROUPS = tuple(names for names, _ in rooms())
RANK = {name: rank for rank, names in enumerate(GROUPS) for name in names} | {"__init__": 0, "__main__": len(GROUPS)}

# Pairs that must not meet, even where the order would allow it: (importing part, imported part).
APART = (("metrics", "networks"), ("metrics", "layers"), ("training", "datasets"))

# Rooms whose files know nothing of each other.
STRANGERS = ("ui/tabs",)

# The plain forms serve comparisons: nothing that draws, trains or measures a model may come to need them.
IMPORTERS_OF_REFERENCE = ("runs/cost.py", "runs/drawing_cost.py", "recognition/backbones/cost.py", "commands/bench.py")

# Where the heavy packages live; elsewhere they are not imported, not even inside a function.
HOMES = {
    "gradio": ("ui", "commands/studio.py"),
    "torch_fidelity": ("metrics",),
    "lpips": ("features/lpips.py",),
    "timm": ("recognition", "features/efficientnet_lite0.py", "features/dinov2.py"),
    "torchmetrics": ("recognition",),
    "pycocotools": ("recognition",),
    "onnx": ("exporting",),
    "onnxruntime": ("exporting",),
}

# What importing a room or a file must not load, over however many steps. Imports inside functions do not count.
LIGHT = (
    *rooms(),
    (("training/losses.py", "training/augment.py", "training/averaging.py"), ("lightning",)),
    (("training/config.py",), ("lightning",)),
    (("runs/tasks", "runs/train.py", "runs/presets.py"), ("lightning",)),
    (
        ("runs/request.py", "metrics/records.py", "runs/folder.py", "runs/history.py", "progress.py"),
        ("torch", "torchvision", "lightning"),
    ),
)

FILES = sorted(path for path in ROOT.rglob("*.py") if "presets" not in path.relative_to(ROOT).parts[:-1])
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in FILES}


@cache
def imports(path: Path, *, everywhere: bool) -> frozenset[str]:
    """Full names that a file imports: modules, and `package.name` of `from package import name`.

    Without `everywhere` only what importing the file runs: not functions' bodies, not blocks for type checkers.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = dotted(path).split(".") + (["__init__"] if path.name == "__init__.py" else [])
                base = ".".join(filter(None, [*package[: -node.level], base]))
            found.update(f"{base}.{alias.name}" for alias in node.names)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if everywhere or not (later or typing):
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(ast.parse(path.read_text()))
    return frozenset(found)


def ours(names: frozenset[str]) -> set[Path]:
    """The files of ours among imported names: `sase_gan.training.losses.lecam` is a name in `losses.py`."""
    found = set()
    for name in names:
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        if name:
            found.add(MODULES[name])
    return found


def loaded_with(path: Path) -> tuple[set[Path], set[str]]:
    """Files of ours and foreign packages that importing this file loads, over all steps."""
    seen: set[Path] = set()
    foreign: set[str] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        names = imports(current, everywhere=False)
        foreign |= {name.split(".")[0] for name in names}
        waiting += ours(names)
        # Importing a.b.c runs the packages a and a.b first.
        waiting += [
            folder / "__init__.py"
            for folder in current.parents
            if (folder / "__init__.py").is_file() and folder >= ROOT
        ]
    return seen, foreign


@every_file
def test_imports_go_in_one_direction(path):
    part = part_of(path)
    assert part in RANK, f"{part} has no place yet in GROUPS; add it to the group from which it may be imported"
    # The package's face names its public functions for type checkers; when it runs it imports none of them.
    for other in ours(imports(path, everywhere=part != "__init__")):
        imported = part_of(other)
        assert imported in RANK, f"{imported} has no place yet in GROUPS"
        if imported != "__init__":
            assert RANK[imported] <= RANK[part], f"{dotted(path)} imports {dotted(other)}, which stands above it"


@pytest.mark.parametrize(("part", "other"), APART)
def test_parts_that_must_not_meet(part, other):
    for path in FILES:
        if part_of(path) == part:
            met = [dotted(found) for found in ours(imports(path, everywhere=True)) if part_of(found) == other]
            assert not met, f"{dotted(path)} imports {met}"


@pytest.mark.parametrize("room", STRANGERS)
def test_files_of_these_rooms_do_not_import_each_other(room):
    files = {path for path in FILES if path.parent == ROOT / room and path.name != "__init__.py"}
    assert len(files) > 1, f"{room} is gone; mend the rule"
    for path in files:
        met = [dotted(found) for found in ours(imports(path, everywhere=True)) & files - {path}]
        assert not met, f"{dotted(path)} imports {met}"


def test_plain_forms_serve_benchmarks_only():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if part_of(path) != "reference"
        and any(part_of(found) == "reference" for found in ours(imports(path, everywhere=True)))
    }
    assert users, "nobody imports the plain forms any more; let them go, or mend the rule"
    assert users <= set(IMPORTERS_OF_REFERENCE)


@pytest.mark.parametrize("package", HOMES)
def test_heavy_packages_stay_at_home(package):
    for path in FILES:
        place = path.relative_to(ROOT).as_posix()
        names = {name.split(".")[0] for name in imports(path, everywhere=True)}
        at_home = any(place == home or place.startswith(f"{home}/") or place == f"{home}.py" for home in HOMES[package])
        assert package not in names or at_home, f"{place} imports {package}"


def lies_in(path: Path, place: str) -> bool:
    found = path.relative_to(ROOT)
    return found.as_posix() in (place, f"{place}.py") or Path(place) in found.parents


@every_file
def test_light_parts_load_nothing_heavy(path):
    _, foreign = loaded_with(path)
    for places, heavy in LIGHT:
        if any(lies_in(path, place) for place in places):
            assert not foreign & set(heavy), f"importing {dotted(path)} loads {sorted(foreign & set(heavy))}"


def test_the_document_lists_every_room_once():
    listed = [name for names in GROUPS for name in names]
    assert len(listed) == len(set(listed))
    found = {part_of(path) for path in FILES} - {"__init__", "__main__"}
    assert set(listed) == found, "docs/architecture.md lists other rooms than there are"


def test_files_that_the_document_names_exist():
    text = DOCUMENT.read_text()
    named = {name for name in re.findall(r"`([\w/.]+/[\w/]*\w(?:\.py)?)`", text) if "<" not in name}
    assert len(named) > 20
    missing = [
        name for name in named if not any((base / name).exists() for base in (ROOT, ROOT.parent, ROOT / "report"))
    ]
    assert not missing


def test_places_of_the_rules_exist():
    places = {place for names in GROUPS for place in names}
    places |= {place for found, _ in LIGHT for place in found} | {home for homes in HOMES.values() for home in homes}
    for place in places:
        assert (ROOT / place).exists() or (ROOT / f"{place}.py").exists(), f"{place} is gone; mend the rule"


def test_this_test_sees_what_it_should():
    # The reader of the trees would pass everything if it found nothing: a few facts that must hold.
    trainer = ROOT / "training" / "low_shot.py"
    assert ROOT / "training" / "losses.py" in ours(imports(trainer, everywhere=True))
    seen, foreign = loaded_with(trainer)
    assert ROOT / "layers" / "sase.py" in seen
    assert {"torch", "lightning", "pydantic"} <= foreign
    commands = ROOT / "commands" / "train.py"
    assert ROOT / "runs" / "train.py" in ours(imports(commands, everywhere=True))
    assert ROOT / "runs" / "train.py" not in ours(imports(commands, everywhere=False))
