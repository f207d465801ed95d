"""Exports: files that agree with the model and describe it, what is refused, and that nothing half is left behind."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sase_gan.api.export import ExportSettings, export, export_page, subject_of
from sase_gan.cli import app
from sase_gan.drawing.recipes import draw_recipes, parse_names
from sase_gan.drawing.sampling import draw_inputs, joined, truncated
from sase_gan.errors import DataError, SaseGanError, UsageError, WeightsError
from sase_gan.exporting import checking, onnx_file, web_runtime
from sase_gan.exporting.checking import TOLERANCE, difference
from sase_gan.exporting.generators import generator_subject
from sase_gan.exporting.half import FEWEST_VALUES, round_weights
from sase_gan.exporting.pt2_file import read_pt2_description, write_pt2
from sase_gan.exporting.pyramids import pyramid_subject
from sase_gan.exporting.recognisers import classifier_subject, detector_subject
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import load_network
from sase_gan.pixels import to_uint8
from sase_gan.recognition.classification.classifier import Classifier, ClassifierConfig
from sase_gan.recognition.detection.detector import Detector, DetectorConfig
from sase_gan.recombination.model import Recombiner, RecombinerConfig
from sase_gan.snapshot import snapshot_digest
from tests.exporting.conftest import small_generator, small_pyramid

ROOT = Path(__file__).resolve().parents[2]
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def classifier(**backbone: object) -> Classifier:
    config = {"backbone": {"name": "cifar_resnet18", "width": 0.125, **backbone}, "pictures": {}}
    return Classifier(ClassifierConfig.model_validate({**config, "classes": ["a", "b", "c"], "channels": 3})).eval()


def detector() -> Detector:
    sides = {"channels": 16, "smallest_side": 64, "largest_side": 64}
    config = {"backbone": {"name": "cifar_resnet18", "width": 0.125}, "detector": sides}
    return Detector(DetectorConfig.model_validate({**config, "classes": ["a"], "category_ids": [1]})).eval()


@quiet
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
def test_onnx_agrees_in_batches_that_were_never_traced_and_describes_its_model(generator_folder, tmp_path):
    onnxruntime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    done = export(generator_folder, tmp_path / "small.onnx", half=True, noise="fixed")
    assert set(done.agreement.differences) == {1, 2, 5}
    assert done.agreement.largest < TOLERANCE
    # Weights of a training are not 16 bit by themselves: rounding them shows, and is told.
    assert 0 < done.rounding < 0.05
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["z", "truncation"]
    network, inputs = load_network(generator_folder), draw_inputs(load_network(generator_folder), range(4))
    (found,) = session.run(None, {"z": inputs.z.numpy(), "truncation": torch.ones(4).numpy()})
    noise = draw_inputs(network, range(4), noise="fixed").noise
    round_weights(network)
    with torch.no_grad():
        assert (torch.from_numpy(found) - network(inputs.z, noise).big).abs().max() < 1e-4
    told = onnx_file.read_description(done.path)
    assert told["name"] == "small"
    assert told["snapshot"] == snapshot_digest(generator_folder)
    assert told["licence"] == "CC0-1.0"
    assert json.loads(told["range"]) == [-1, 1]
    assert told["latent_size"] == "20"
    assert "Trained on pictures licensed as: CC0-1.0" in told["card"]
    # Half the room for every large weight.
    stored = onnx.load(str(done.path)).graph.initializer
    wide = [one.name for one in stored if one.data_type == onnx.TensorProto.FLOAT and len(one.raw_data) > 16_384]
    assert not wide
    assert any(one.data_type == onnx.TensorProto.FLOAT16 for one in stored)


@quiet
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
def test_pt2_in_half_draws_as_the_rounded_model_and_mixes(generator_folder, tmp_path):
    path = tmp_path / "small.pt2"
    command = ["export", "pt2", str(generator_folder), "--out", str(path), "--half", "--mixing"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "equal to PyTorch within" in result.output
    exported = torch.export.load(path)
    assert {value.dtype for value in exported.state_dict.values() if value.numel() > 10_000} == {torch.float16}
    program = exported.module()
    network = load_network(generator_folder)
    round_weights(network)
    inputs = draw_inputs(network, range(4))
    asked = torch.full((4,), 0.7)
    plain = program(inputs.z, asked, *inputs.noise, torch.arange(4), torch.full((4,), 1e9))
    with torch.no_grad():
        assert (plain - network(inputs.z, inputs.noise, asked).big).abs().max() < 1e-4
    mixed = program(inputs.z, asked, *inputs.noise, torch.full((4,), 3), torch.tensor([4.0, 16, 64, 1e9]))
    changed = (to_uint8(mixed).int() - to_uint8(plain).int()).abs().amax((1, 2, 3))
    assert changed[0] > 0
    assert changed[1] > 0
    assert changed[2:].tolist() == [0, 0]
    told = read_pt2_description(path)
    assert [one["name"] for one in told["inputs"]][-2:] == ["mix_with", "mix_from"]
    assert told["weights"].startswith("16 bit")


@quiet
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("kind", ["pt2", "onnx"])
def test_one_picture_is_drawn_in_any_batch_at_the_size_that_was_asked_for(kind, tmp_path):
    pyramid = small_pyramid(sizes=((9, 12), (18, 24)), gate="none", norm="none")
    pyramid.save_pretrained(tmp_path / "one")
    done = export(tmp_path / "one", tmp_path / f"one.{kind}", size=(30, 20))
    assert done.rounding is None
    inputs = draw_inputs(pyramid, range(4), size=(30, 20))
    given = (inputs.z, torch.full((4,), 0.5), *inputs.noise)
    if kind == "pt2":
        found, told = torch.export.load(done.path).module()(*given), read_pt2_description(done.path)
        assert told["outputs"][0]["shape"] == ["batch", 3, 30, 20]
    else:
        (found,) = onnx_file.session(done.path, pyramid_subject(pyramid, size=(30, 20)))(given)
        told = onnx_file.read_description(done.path)
    assert found.shape == (4, 3, 30, 20)
    with torch.no_grad():
        assert (found - pyramid(inputs.z * 0.5, inputs.noise).big).abs().max() < 1e-4
    assert told["kind"] == "one_shot_pyramid"
    assert told["licence"] == "not stated"


def test_half_rounds_large_weights_alone():
    network = small_generator()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    round_weights(network)
    parameters = {name for name, value in network.named_parameters() if value.numel() >= FEWEST_VALUES}
    for name, value in network.state_dict().items():
        if name in parameters:
            assert torch.equal(value, value.half().float())
            assert (value - before[name]).abs().max() <= before[name].abs().max() * 2**-11
        else:
            assert torch.equal(value, before[name])
    assert parameters


def test_a_file_that_disagrees_is_refused_and_nothing_is_left(generator_folder, tmp_path, monkeypatch):
    kept = tmp_path / "kept.pt2"
    kept.write_text("of before")

    def wrong(subject, path, description, *, half):
        path.write_text("half")
        return checking.check(subject, lambda given: (subject.expected(given)[0] + 2e-4,), "the PT2 file")

    monkeypatch.setattr("sase_gan.api.export.write_pt2", wrong)
    with pytest.raises(SaseGanError, match=r"differs from the model by 2.*nothing was written"):
        export(generator_folder, kept)
    assert kept.read_text() == "of before"
    assert list(tmp_path.iterdir()) == [kept]


def test_difference_is_a_share_of_large_values_and_sees_what_is_no_number():
    small, large = torch.tensor([0.5, -1.0]), torch.tensor([0.0, 50.0])
    assert difference((small + 0.25,), (small,)) == 0.25
    assert difference((large + 1,), (large,)) == pytest.approx(0.02)
    assert difference((torch.tensor([torch.nan, 1.0]),), (small,)) == float("inf")


REFUSED: dict[str, tuple[Callable[[], object], ExportSettings, str]] = {
    "no training": (
        lambda: Recombiner(RecombinerConfig(count=1, size=(16, 16))),
        ExportSettings(),
        "train a network with: sase-gan train PICTURES --preset cpu",
    ),
    "finished": (lambda: small_pyramid(finished_stages=2), ExportSettings(), "add --unfinished for the network alone"),
    "bytes": (lambda: small_pyramid(resize="bytes"), ExportSettings(unfinished=True), "--preset quick or standard"),
    "detector": (detector, ExportSettings(), "add --part backbone"),
    "mixing": (small_pyramid, ExportSettings(mixing=True), "mixing: this has no effect on a one shot pyramid"),
    "size": (small_generator, ExportSettings(size=(8, 8)), "size: this has no effect on a low shot generator"),
    "noise": (classifier, ExportSettings(noise="off"), "noise: this has no effect on a classifier"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_refused_with_what_can_be_done(name):
    build, settings, sentence = REFUSED[name]
    with pytest.raises(UsageError, match=sentence):
        subject_of(build(), settings)


def test_wrong_names_and_missing_packages_are_told_before_any_work(generator_folder, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"must end in .onnx or .pt2"):
        export(generator_folder, tmp_path / "small.pt")
    result = CliRunner().invoke(app, ["export", "onnx", str(generator_folder), "--out", str(tmp_path / "a.pt2")])
    assert isinstance(result.exception, UsageError)
    result = CliRunner().invoke(app, ["export", "onnx", str(generator_folder), "--noise", "loud"])
    assert "must be inputs, fixed or off" in str(result.exception)
    monkeypatch.setattr(onnx_file, "PACKAGES", ("onnx", "onnx_of_another_world"))
    with pytest.raises(UsageError, match=r"onnx_of_another_world is not installed.*pip install onnx_of_another_world"):
        export(generator_folder, tmp_path / "small.onnx")
    assert not list(tmp_path.iterdir())


def test_a_page_replaces_no_folder_of_something_else(generator_folder, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"is no page of this program; choose another --out"):
        export_page(generator_folder, tmp_path / "mine")
    classifier().save_pretrained(tmp_path / "classes")
    with pytest.raises(UsageError, match=r"is a classifier, and the page draws pictures"):
        export_page(tmp_path / "classes", tmp_path / "page")


def package(folder: Path, content: bytes) -> Path:
    """A folder laid out as the npm package is."""
    for place, _ in web_runtime.FILES.values():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
    return folder


def test_the_runtime_is_fetched_once_and_known_by_its_content(tmp_path, monkeypatch):
    import hashlib
    import tarfile

    cache, given, fetched = tmp_path / "cache", package(tmp_path / "package", b"runtime"), []
    digest = hashlib.sha256(b"runtime").hexdigest()
    files = {name: (place, digest) for name, (place, _) in web_runtime.FILES.items()}
    monkeypatch.setattr(web_runtime, "FILES", files)

    def fetch(folder: Path) -> Path:
        fetched.append(folder)
        with tarfile.open(folder / "package.tgz", "w:gz") as archive:
            archive.add(given, "package")
        return folder / "package.tgz"

    for _ in range(2):
        folder = web_runtime.runtime_folder(cache=cache, fetch=fetch)
    assert len(fetched) == 1
    assert {path.name for path in folder.iterdir()} == {"ort.js", "ort.wasm", "LICENSE.txt"}
    (folder / "ort.wasm").write_bytes(b"damaged")
    assert (web_runtime.runtime_folder(cache=cache, fetch=fetch) / "ort.wasm").read_bytes() == b"runtime"
    assert web_runtime.runtime_folder(given, cache=tmp_path / "other").is_dir()
    with pytest.raises(DataError, match="is missing, or is not that of onnxruntime-web"):
        web_runtime.runtime_folder(package(tmp_path / "wrong", b"another version"), cache=tmp_path / "third")
    with pytest.raises(DataError, match="npm pack"):
        web_runtime.runtime_folder(tmp_path / "nowhere.tgz", cache=tmp_path / "third")
    assert not (tmp_path / "third" / folder.name).exists()


def test_without_npm_or_a_network_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match=r"install Node.js, or on a computer that has both"):
        web_runtime.fetch_by_npm(tmp_path)
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network no route' >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(WeightsError, match=r"npm error network no route.*hand the file over with --runtime FILE"):
        web_runtime.fetch_by_npm(tmp_path)


GENERATORS = {
    "batch": {"norm": "batch"},
    "skip layer excitation": {"norm": "batch", "skip": "sle"},
    "raw": {"output": "raw"},
    "64 px": {"image_size": 64, "init_scale": "paper"},
    "256 px": {"image_size": 256},
    "wide": {"first_map": (4, 6)},
    "transparent": {"colours": "rgba"},
    "grey": {"colours": "grey"},
    "aw and multi-scale": {"conv": "aw", "attention": "efficient_multi_scale"},
    "squeeze": {"attention": "se"},
    "softmax masks": {"sase_weighting": "softmax", "sase_style_gain": 2.0, "sase_mask_gain": 3.0},
    "few latents": {"latent_size": 3, "attentive_sizes": (8,), "attention_norm": "none"},
}
PYRAMIDS = {
    "plain": {},
    "reflected": {"padding": "reflect"},
    "tile": {"padding": "circular"},
    "running": {"statistics": "running", "norm": "batch"},
    "ungated": {"norm": "none", "gate": "none"},
}
CLASSIFIERS = {
    "plain": {},
    "attentive": {"layers": {"norm": "attentive"}},
    "sase": {"layers": {"conv": "sase"}},
    "aw": {"layers": {"conv": "aw"}},
    "grouped": {"layers": {"conv": "grouped"}},
    "emsa": {"name": "resnet18", "width": 1.0, "layers": {"attention": "emsa"}},
    "cbam": {"layers": {"attention": "cbam"}},
    "mobilenet": {"name": "mobilenetv2", "width": 1.0},
    "densenet": {"name": "densenet121", "width": 1.0},
}
SUBJECTS = {
    **{
        f"generator, {name}": lambda o=o: generator_subject(small_generator(**o), mixing=True)
        for name, o in GENERATORS.items()
    },
    "generator of classes": lambda: generator_subject(generator_of_classes()),
    "generator of classes, mixing": lambda: generator_subject(generator_of_classes(), mixing=True),
    **{f"pyramid, {name}": lambda o=o: pyramid_subject(small_pyramid(**o)) for name, o in PYRAMIDS.items()},
    "pyramid, larger": lambda: pyramid_subject(small_pyramid(), size=(40, 30)),
    **{f"classifier, {name}": lambda o=o: classifier_subject(classifier(**o)) for name, o in CLASSIFIERS.items()},
    "classifier's backbone": lambda: classifier_subject(classifier(), "backbone"),
    "detector's backbone": lambda: detector_subject(detector(), "backbone"),
}


@quiet
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.slow
@pytest.mark.timeout(3600)  # convolutions with a kernel for each sample are nine a layer in a file
@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_every_kind_of_model_agrees_in_either_format(name, kind, tmp_path):
    pytest.importorskip("onnxruntime")
    write = onnx_file.write_onnx if kind == "onnx" else write_pt2
    subject = SUBJECTS[name]()
    agreement = write(subject, tmp_path / f"model.{kind}", {"card": "none"})
    assert agreement.largest <= TOLERANCE
    # The original differs between inputs, so that agreeing means something.
    one, other = (subject.expected(subject.examples(2))[0][row] for row in (0, 1))
    assert (one - other).abs().max() > 1e-3


@quiet
@pytest.mark.slow
def test_the_snippet_of_the_page_on_exporting_runs(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    (snippet,) = re.findall(
        r"^```py\n(.*?)^```", (ROOT / "docs" / "exporting.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(snippet, names)
    network = load_network(ROOT / "data" / "snapshots" / "emoji-faces").unfinished()
    inputs = truncated(network, draw_inputs(network, range(8)), 0.8)
    with torch.no_grad():
        expected = network(inputs.z, inputs.noise, inputs.truncation).big
    assert (torch.from_numpy(names["pictures"]) - expected).abs().max() < 1e-4


def generator_of_classes() -> Generator:
    """A small generator whose three classes are as far apart as trained ones are."""
    classes = {"classes": ("cats", "dogs", "owls"), "class_counts": (5, 7, 3)}
    network = small_generator(norm="batch", skip="sle", **classes)
    with torch.no_grad():
        network.class_embedding.mul_(100)
    return network


@quiet
@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize("kind", ["pt2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_the_weights_of_classes_are_an_input(kind, tmp_path):
    """The file's pictures by class are those of the program, which reads names and not weights."""
    pytest.importorskip("onnxruntime")
    network = generator_of_classes()
    network.save_pretrained(tmp_path / "classes")
    done = export(tmp_path / "classes", tmp_path / f"model.{kind}", noise="off")
    assert set(done.agreement.differences) == {1, 2, 5}
    recipes = [replace(one, noise="off") for one in parse_names("3=cats,3=dogs,3=dogs.30=owls.70,4")]
    inputs = joined([recipe.inputs(network) for recipe in recipes])
    given = (inputs.z, torch.ones(4), inputs.classes)
    if kind == "pt2":
        found, told = torch.export.load(done.path).module()(*given), read_pt2_description(done.path)
        assert told["classes"] == ["cats", "dogs", "owls"]
        assert [one["shape"] for one in told["inputs"]] == [["batch", 20], ["batch"], ["batch", 3]]
    else:
        (found,) = onnx_file.session(done.path, generator_subject(network, noise="off"))(given)
        assert json.loads(onnx_file.read_description(done.path)["class_counts"]) == [5, 7, 3]
    expected = draw_recipes(network, recipes).int()
    assert (to_uint8(found).int() - expected).abs().max() <= 1
    assert (expected[0] - expected[1]).abs().max() > 20
