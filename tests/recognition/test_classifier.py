"""Classification: the rate over time, decay groups, scores in closed form, a run, its resumption and its report."""

import json
import math

import pytest
import torch
from typer.testing import CliRunner

from sase_gan.commands.classify import app
from sase_gan.config import build, list_presets, load_preset
from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import write_png
from sase_gan.recognition.backbones.backbone import create_backbone
from sase_gan.recognition.classification.classifier import load_classifier, predict_pictures
from sase_gan.recognition.classification.data import open_labelled
from sase_gan.recognition.classification.scores import classification_scores
from sase_gan.recognition.classification.study import VARIANTS
from sase_gan.recognition.classification.training import fit_classifier, parameter_groups, rate_factor
from sase_gan.recognition.fit import choose_device
from sase_gan.recognition.settings import ClassifyConfig, OptimiserSection
from sase_gan.report.recognition import most_confused, write_classification_report
from sase_gan.studies.harness import run_study
from sase_gan.studies.recognition import run_classification, study_of_layers


def test_cosine_with_warmup():
    settings = OptimiserSection(rate=2.0, warmup_epochs=2, minimum_rate=0.02)
    factors = [rate_factor(e, settings, 10) for e in (0, 1, 2, 6, 10, 11)]
    assert factors == pytest.approx([0, 0.5, 1, 0.01 + 0.99 * 0.5, 0.01, 0.01])
    assert rate_factor(4, settings, 10) == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_steps():
    settings = OptimiserSection(schedule="steps", milestones=(60, 120), factor=0.2)
    assert [rate_factor(e, settings, 200) for e in (0, 59.9, 60, 130)] == pytest.approx([1, 1, 0.2, 0.04])


def test_decay_groups():
    model = create_backbone("resnet18", norm="attentive", decay_affine=False, device="meta")
    every = parameter_groups(model, 0.1, decay_all=True)
    assert [g["weight_decay"] for g in every] == [0.1, 0.0]
    assert len(every[1]["params"]) == 16
    matrices = parameter_groups(model, 0.1, decay_all=False)
    assert all(p.ndim > 1 for p in matrices[0]["params"])
    assert sum(len(g["params"]) for g in matrices) == len(list(model.parameters()))


@pytest.mark.parametrize("name", list_presets("classify"))
def test_presets_are_valid_and_build(name):
    config = build(ClassifyConfig, load_preset(name))
    section = config.backbone
    create_backbone(section.name, width=section.width, device="meta", **section.layers.model_dump())


def test_scores_in_closed_form():
    logits = torch.tensor([[4.0, 0, 0], [0, 4, 0], [4, 0, 0], [0, 0, 4]])
    labels = torch.tensor([0, 1, 1, 2])
    scores = classification_scores(logits, labels, ["a", "b", "c"])
    assert scores["top1"] == 0.75
    assert scores["mean_class_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert scores["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    confidence = math.exp(4) / (math.exp(4) + 2)
    assert scores["calibration_error"] == pytest.approx(confidence - 0.75)
    assert scores["loss"] == pytest.approx(-0.75 * math.log(confidence) - 0.25 * math.log((1 - confidence) / 2))
    assert "top5" not in scores
    assert most_confused(scores) == [("b", "a", 1)]


def test_top5_counts_the_five_best():
    logits = torch.arange(7.0).repeat(7, 1)
    scores = classification_scores(logits, torch.arange(7), [str(i) for i in range(7)])
    assert scores["top1"] == pytest.approx(1 / 7)
    assert scores["top5"] == pytest.approx(5 / 7)


def test_nothing_cannot_be_scored():
    with pytest.raises(DataError, match="no pictures to score"):
        classification_scores(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), ["a", "b"])


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Two classes that a small network tells apart at once: horizontal and vertical stripes."""
    folder = tmp_path_factory.mktemp("stripes")
    source = torch.Generator().manual_seed(0)
    for number in range(40):
        wave = (torch.arange(12) // 2 % 2 * 150).to(torch.float32)
        image = wave[:, None].expand(12, 12) if number % 2 else wave.expand(12, 12)
        image = image + 60 * torch.rand(3, 12, 12, generator=source)
        name = "horizontal" if number % 2 else "vertical"
        write_png(folder / name / f"{number:02d}.png", image.to(torch.uint8))
    return folder


TINY = {
    "backbone": {"name": "cifar_resnet18", "width": 0.0625, "layers": {"norm": "attentive"}},
    "pictures": {"image_size": 12, "flip": True},
    "optimiser": {"rate": 0.05},
    "batch_size": 8,
    "epochs": 4,
    "held_out": 0.25,
}


def run(data, folder, *, resume=False, **changes):
    config = build(ClassifyConfig, {**TINY, **changes})
    parts = [open_labelled(data, part, held_out=0.25) for part in ("train", "test")]
    return fit_classifier(config, *parts, folder, device="cpu", resume=resume)


def test_a_run_learns_and_leaves_its_files(stripes, tmp_path):
    result = run(stripes, tmp_path / "run")
    assert result.scores["top1"] > 0.9
    files = {p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    snapshot = "snapshots/000000kimg"
    assert {
        "config.yaml",
        "metrics.csv",
        "results.jsonl",
        "checkpoints/last.ckpt",
        f"{snapshot}/model.safetensors",
    } <= files
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 5
    loaded = load_classifier(tmp_path / "run" / snapshot)
    test = open_labelled(stripes, "test", held_out=0.25)
    probabilities = predict_pictures(loaded, (test.read(i) for i in range(len(test))))
    assert float((probabilities.argmax(1) == test.labels).float().mean()) == result.scores["top1"]
    assert torch.allclose(probabilities.sum(1), torch.ones(len(test)))
    with pytest.raises(UsageError, match="holds a run already"):
        run(stripes, tmp_path / "run")


def test_a_resumed_run_equals_an_uninterrupted_one(stripes, tmp_path):
    changes = {
        "optimiser": {"rate": 0.05, "schedule": "constant"},
        "pictures": {**TINY["pictures"], "mixup": 0.2, "erasing": 0.5},
    }
    whole = run(stripes, tmp_path / "whole", **changes, epochs=2)
    run(stripes, tmp_path / "parts", **changes, epochs=1)
    resumed = run(stripes, tmp_path / "parts", resume=True, **changes, epochs=2)
    for first, second in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(first, second)


def test_averaged_weights_are_what_is_kept(stripes, tmp_path):
    result = run(stripes, tmp_path / "run", average_half_life=64.0, epochs=3)
    loaded = load_classifier(tmp_path / "run" / "snapshots" / "000000kimg")
    image = torch.rand(2, 3, 12, 12)
    assert torch.allclose(loaded(image), result.network.eval()(image), atol=1e-6)
    assert result.scores["top1"] > 0.5


def test_impossible_runs_are_refused(stripes, tmp_path):
    with pytest.raises(UsageError, match="nothing to resume"):
        run(stripes, tmp_path / "new", resume=True)
    with pytest.raises(UsageError, match="batch_size is 64 with 30"):
        run(stripes, tmp_path / "new", batch_size=64)
    with pytest.raises(UsageError, match="batch_size must be even"):
        build(ClassifyConfig, {"batch_size": 9, "pictures": {"mixup": 0.2}})
    with pytest.raises(UsageError, match="need each other"):
        build(ClassifyConfig, {"optimiser": {"schedule": "steps"}})


def test_commands_from_training_to_prediction(stripes, tmp_path):
    runner = CliRunner()
    out = tmp_path / "run"
    flags = ["--norm", "attentive", "--epochs", "3", "--batch-size", "8"]
    values = ["backbone.width=0.0625", "pictures.image_size=12", "optimiser.rate=0.05", "held_out=0.25"]
    sets = [word for value in values for word in ("--set", value)]
    shown = runner.invoke(
        app, ["train", str(stripes), "--out", str(out), *flags, *sets, "--dry-run"], catch_exceptions=False
    )
    assert "multiply-adds" in shown.output
    assert not out.exists()
    trained = runner.invoke(app, ["train", str(stripes), "--out", str(out), *flags, *sets], catch_exceptions=False)
    assert trained.exit_code == 0
    assert "<svg" in (out / "report.html").read_text()
    snapshot = str(out / "snapshots" / "000000kimg")
    for number, holdout in enumerate(("--holdout", "--held-out")):
        scores = tmp_path / f"scores{number}"
        scored = runner.invoke(
            app, ["evaluate", snapshot, str(stripes), "--out", str(scores), holdout, "0.25"], catch_exceptions=False
        )
        assert scored.exit_code == 0
        first, second = (json.loads((p / "classification.json").read_text()) for p in (out, scores))
        assert first["confusion"] == second["confusion"]
    named = runner.invoke(
        app, ["predict", snapshot, str(stripes / "vertical"), "--out", str(tmp_path / "p.csv")], catch_exceptions=False
    )
    assert named.exit_code == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 21


@pytest.mark.parametrize(
    "words",
    [
        ["train", "DATA", "--out", "OUT", "--device", "tpu"],
        ["train", "DATA", "--out", "OUT", "--accelerator", "tpu"],
        ["study", "DATA", "--out", "OUT", "--accelerator=tpu"],
        ["evaluate", "SNAPSHOT", "DATA", "--out", "OUT", "--device", "tpu"],
        ["predict", "SNAPSHOT", "PICTURES", "--device", "tpu"],
    ],
    ids=" ".join,
)
def test_an_unknown_device_is_refused_in_the_present_and_the_former_spelling(words):
    with pytest.raises(UsageError, match="device is 'tpu'; this machine has cpu"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_gpu_is_the_former_word_for_whichever_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for there, name in ((True, "mps"), (False, "cuda")):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=there: there)
        if there:
            assert choose_device("gpu") == name
        else:
            with pytest.raises(UsageError, match=f"device is '{name}'"):
                choose_device("gpu")


def test_names_in_a_report_are_escaped(tmp_path):
    scores = classification_scores(torch.eye(2), torch.tensor([0, 1]), ["<script>", "b"])
    (tmp_path / "classification.json").write_text(json.dumps(scores))
    page = write_classification_report(tmp_path).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    with pytest.raises(DataError, match="evaluate first"):
        write_classification_report(tmp_path / "none")


def test_study_of_layers_goes_on_and_compares_in_pairs(tmp_path, monkeypatch):
    seen = []

    def trained(config, folder, train_set, held_out, device):
        seen.append((config.backbone.layers.norm, config.seed))
        gain = 0.1 if config.backbone.layers.norm == "attentive" else 0.0
        return {"top1": 0.5 + 0.01 * config.seed + gain, "loss": 1.0, "parameters": 10, "seconds": 1.0}

    monkeypatch.setattr("sase_gan.recognition.classification.study.trained_record", trained)
    monkeypatch.setattr("sase_gan.studies.recognition._parts", lambda path, held_out: ([], []))
    (tmp_path / "data").mkdir()

    def study(config, names, seeds):
        spec = study_of_layers(config.model_dump(mode="json"), str(tmp_path / "data"), names, seeds)
        return run_study(spec, tmp_path / "out", run_classification)

    study(ClassifyConfig(), ["bn", "an"], [0])
    table = study(ClassifyConfig(), ["bn", "an"], [0, 1, 2])
    assert seen == [(norm, seed) for seed in (0, 1, 2) for norm in ("batch", "attentive")]
    found = table["sets"][0]["rows"][1]["entries"]["top1"]
    assert (found["mean"], found["difference"], found["mark"]) == (pytest.approx(0.61), pytest.approx(0.1), "better")
    assert "| an | 3 | 1 | 10 |" in (tmp_path / "out" / "study.md").read_text()
    with pytest.raises(UsageError, match="variant cbam is unknown"):
        study(ClassifyConfig(), ["cbam"], [0])
    with pytest.raises(UsageError, match="another configuration"):
        study(ClassifyConfig(epochs=3), ["bn"], [0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_the_study_builds(variant):
    assert (
        create_backbone("cifar_resnet18", width=0.25, device="meta", **VARIANTS[variant].model_dump()).num_classes
        == 1000
    )
