"""Snapshots of strangers: whatever stands in a file, only our own error comes out, soon and without much memory.

The fuzz mutates bytes, headers and configurations of a small snapshot of every kind, at random by a seed; a short form
of it is in the default run.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, SaseGanError
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.load import load_network
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.recognition.classification.classifier import Classifier, ClassifierConfig
from sase_gan.recognition.detection.detector import Detector, DetectorConfig
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.snapshot import WEIGHTS_FILE, SnapshotMixin, read_header

KINDS: dict[str, type[SnapshotMixin]] = {
    one.kind: one for one in (Generator, Pyramid, Recombiner, Classifier, Detector)
}


def small(kind: str) -> Any:
    torch.manual_seed(0)
    match kind:
        case Generator.kind:
            config = GeneratorConfig(image_size=32, width=4, latent_size=4, num_components=2)
            return Generator(config).folded()
        case Pyramid.kind:
            return Pyramid(PyramidConfig(sizes=((12, 16), (18, 24)), width=8, num_components=2))
        case Recombiner.kind:
            return Recombiner(RecombinerConfig(count=3, size=(32, 32), names=("a", "b", "c")))
        case Classifier.kind:
            backbone = {"name": "cifar_resnet18", "width": 0.125}
            values = {"backbone": backbone, "pictures": {}, "classes": ["cat", "dog"], "channels": 3}
            return Classifier(ClassifierConfig.model_validate(values))
    detector = {"channels": 8, "box_features": 8, "masks": False, "box_head": "linear"}
    values = {
        "backbone": {"name": "cifar_resnet18", "width": 0.125},
        "detector": detector,
        "classes": ["cat"],
        "category_ids": [1],
    }
    return Detector(DetectorConfig.model_validate(values))


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    for kind in KINDS:
        small(kind).save_pretrained(folder / kind)
    return {kind: folder / kind for kind in KINDS}


def written(folder: Path, original: Path, *, network: dict[str, Any] | None = None, **tensors: Any) -> Path:
    """A copy of a snapshot with keys of its configuration, or tensors, changed."""
    header = read_header(original / WEIGHTS_FILE)
    header["network"] |= network or {}
    folder.mkdir(exist_ok=True)
    state = load_file(original / WEIGHTS_FILE) | tensors
    save_file(state, folder / WEIGHTS_FILE, metadata={"config": json.dumps(header)})
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read_without_a_configuration_beside_it(kind: str, originals: dict[str, Path]) -> None:
    (originals[kind] / "config.json").write_text("")
    loaded: Any = KINDS[kind].from_pretrained(str(originals[kind]))
    state = small(kind).state_dict()
    assert state.keys() == loaded.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (Generator.kind, {"width": 256}, "size mismatch"),
        (Generator.kind, {"width": 10**9}, "less than or equal to 1024"),
        (Generator.kind, {"num_components": [2]}, "num_components = "),
        (Pyramid.kind, {"sizes": [[12, 16], [10**9, 10**9]]}, "less than or equal to 16384"),
        (Pyramid.kind, {"sizes": [[12, 16], [16000, 16000], [18, 24]]}, "tensors are not those of its configuration"),
        (Pyramid.kind, {"sizes": [[12, 16]] * 20_000}, "sizes = .*at most 64"),
        (Pyramid.kind, {"sizes": []}, "cannot be built: a pyramid needs sizes"),
        (Recombiner.kind, {"count": 10**6, "size": [16384, 16384], "names": []}, "size mismatch for pictures"),
        (Recombiner.kind, {"size": [10**12, 1]}, "less than or equal to 16384"),
        (Recombiner.kind, {"names": ["a"] * 7}, "7 names"),
        (Classifier.kind, {"classes": ["cat"] * 3}, "size mismatch"),
        (Classifier.kind, {"backbone": {"name": "no_such_network"}}, "no_such_network"),
        (Classifier.kind, {"channels": 10**9}, "less than or equal to 16"),
        (Detector.kind, {"detector": {"channels": 10**7}}, "less than or equal to 4096"),
    ],
)
def test_a_size_that_the_file_has_not_is_refused_before_it_is_allocated(
    kind: str, change: dict[str, Any], message: str, originals: dict[str, Path], tmp_path: Path
) -> None:
    folder = written(tmp_path / "model", originals[kind], network=change)
    with pytest.raises(DataError, match=message):
        KINDS[kind].from_pretrained(str(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", [Generator.kind, Pyramid.kind, Classifier.kind])
def test_weights_that_are_not_finite_are_neither_read_nor_written(
    kind: str, value: float, originals: dict[str, Path], tmp_path: Path
) -> None:
    state = load_file(originals[kind] / WEIGHTS_FILE)
    name = next(name for name in sorted(state) if state[name].is_floating_point() and state[name].numel() > 1)
    state[name].view(-1)[-1] = value
    folder = written(tmp_path / "model", originals[kind], **{name: state[name]})
    with pytest.raises(DataError, match=rf"weights are not finite numbers \({name}\).*take an earlier snapshot"):
        KINDS[kind].from_pretrained(str(folder))
    model = small(kind)
    last = (-1,) * model.state_dict()[name].ndim
    model.state_dict()[name][last] = value
    with pytest.raises(DataError, match="nothing was written"):
        model.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "change", [{"kind": ["a"]}, {"network": [1]}, {"provenance": "x"}, {"provenance": {"data": 3}}]
)
def test_a_header_of_other_types_is_refused(change: dict[str, Any], originals: dict[str, Path], tmp_path: Path) -> None:
    header = read_header(originals[Generator.kind] / WEIGHTS_FILE) | change
    state = load_file(originals[Generator.kind] / WEIGHTS_FILE)
    save_file(state, tmp_path / WEIGHTS_FILE, metadata={"config": json.dumps(header)})
    with pytest.raises(DataError, match=r"in its header, where a .* belongs"):
        load_network(tmp_path)


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / WEIGHTS_FILE, "wb") as file:
        file.write((2**30).to_bytes(8, "little"))
        file.truncate(2**31)  # sparse
    with pytest.raises(DataError, match=r"has a header of 1,073,741,824 bytes; at most"):
        load_network(tmp_path)


def test_refusing_a_huge_network_takes_no_memory(originals: dict[str, Path], tmp_path: Path) -> None:
    """In a process of its own, whose memory is limited to what the libraries need."""
    folder = written(
        tmp_path / "model", originals[Pyramid.kind], network={"sizes": [[12, 16], [16384, 16384]], "width": 1024}
    )
    code = (
        "import sys, resource, torch\n"
        "from sase_gan.networks.load import load_network\n"
        "from sase_gan.errors import DataError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    load_network(sys.argv[1])\nexcept DataError:\n    pass\nelse:\n    sys.exit('it was read')\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200


# The fuzz


def values(source: random.Random) -> Any:
    """Something that does not belong where it is put."""
    choices: list[Any] = [
        None, True, -1, 0, 1, 2**31, 10**30, 1e308, float("nan"), "", "x" * 5000, "../..", [], {}, [[]], [1] * 20_000,
        {"a": {"b": []}}, "\x1b[31m", [None], 0.5,
    ]  # fmt: skip
    return source.choice(choices)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def mutated_header(content: bytes, source: random.Random) -> bytes:
    """The file with something else at one place of its configuration or of its list of tensors."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["config"])
    target = source.choice([description, description, header])
    path = source.choice([one for one in places(target) if one])
    holder = target
    for key in path[:-1]:
        holder = holder[key]
    if source.random() < 0.2 and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = values(source)
    if target is description:
        header["__metadata__"]["config"] = json.dumps(description)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def mutated(content: bytes, source: random.Random) -> bytes:
    way = source.randrange(6)
    if way == 0:
        return content[: source.randrange(len(content))]
    if way == 1:
        place = source.randrange(len(content))
        return content[:place] + bytes([content[place] ^ 1 << source.randrange(8)]) + content[place + 1 :]
    if way == 2:
        return source.randbytes(source.randrange(2000)) + content[source.randrange(9) :]
    return mutated_header(content, source)


def try_mutations(originals: dict[str, Path], folder: Path, numbers: range) -> None:
    folder.mkdir(exist_ok=True)
    outcomes, sentences = {"refused": 0, "read": 0}, list[str]()
    for number in numbers:
        source = random.Random(number)
        kind = sorted(KINDS)[number % len(KINDS)]
        content = (originals[kind] / WEIGHTS_FILE).read_bytes()
        (folder / WEIGHTS_FILE).write_bytes(mutated(content, source))
        start = time.process_time()
        try:
            model: Any = KINDS[kind].from_pretrained(str(folder))
            if kind in (Generator.kind, Pyramid.kind, Recombiner.kind):
                load_network(folder)
                sample_images(model, [0])
            outcomes["read"] += 1
        except SaseGanError as refusal:
            sentences.append(str(refusal))
            outcomes["refused"] += 1
        except Exception as error:
            raise AssertionError(f"mutation {number} of a {kind} raises {type(error).__name__}: {error}") from error
        assert time.process_time() - start < 5, f"mutation {number}"
    assert max(map(len, sentences)) < 2000
    assert not any("\x1b" in sentence for sentence in sentences)
    assert min(outcomes.values()) > 0, outcomes


def test_sixty_mutations_of_snapshots_end_in_our_error_or_a_model(originals: dict[str, Path], tmp_path: Path) -> None:
    try_mutations(originals, tmp_path / "mutated", range(60))


@pytest.mark.slow
def test_two_thousand_mutations_of_snapshots_end_in_our_error_or_a_model(
    originals: dict[str, Path], tmp_path: Path
) -> None:
    try_mutations(originals, tmp_path / "mutated", range(60, 2060))
