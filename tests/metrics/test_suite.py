import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from sase_gan.errors import DataError
from sase_gan.features import weights
from sase_gan.metrics import fidelity, verdicts
from sase_gan.metrics.feature_store import FeatureStore
from sase_gan.metrics.measuring import Evaluation, Provenance
from sase_gan.metrics.quick import prepare_measure
from sase_gan.metrics.records import DataPart, FakesPart, ModelPart, parse_record
from sase_gan.metrics.reference import PreparedReference
from sase_gan.metrics.request import Protocol, resolve
from sase_gan.metrics.single_suite import evaluate_single, summarise_scenes
from sase_gan.metrics.suite import evaluate

PROTOCOL = Protocol().changed(bootstrap_draws=20, reference_splits=2)


@pytest.fixture(scope="module", autouse=True)
def no_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)
        patch.setattr(torch.hub, "get_dir", lambda: str(tmp_path_factory.getbasetemp() / "none"))
        yield


@pytest.fixture(scope="module")
def small_faces(faces: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(faces.float(), 2).to(torch.uint8)


@pytest.fixture(scope="module")
def reference(small_faces: Tensor) -> PreparedReference:
    return PreparedReference(small_faces[:24])


@pytest.fixture(scope="module")
def honest(small_faces: Tensor, reference: PreparedReference) -> Evaluation:
    return evaluate(small_faces[24:], reference, PROTOCOL)


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    if isinstance(value, list):
        return all(finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_record_follows_the_schema_that_reports_read(honest: Evaluation) -> None:
    record = parse_record(json.loads(json.dumps(honest.record.to_json(), allow_nan=False)), "here")
    assert record.metrics["kid_efflite0"].measured
    assert record.data.n == 24
    assert record.fakes.n == 26
    assert finite(honest.record.to_json())


def test_every_figure_has_an_interval_provenance_and_meaning(honest: Evaluation) -> None:
    for name, entry in honest.record.to_json()["metrics"].items():
        assert entry["meaning"].endswith((".", "?")), name
        assert len(entry["comparability"]) == 16
        if entry["status"] != "ok":
            assert entry["reason"], name
            continue
        if not name.startswith("holdout_nn_ratio"):
            assert entry["low"] <= entry["high"], name
            assert entry["interval"], name
        assert entry["n_real"] <= 24
        if entry["extractor"] == "efflite0":
            assert entry["weights_sha256"] == weights.KNOWN["efflite0"].sha256
            assert entry["resize"] == "bicubic-antialias-224"


def test_reserved_names_do_not_appear_when_only_efflite0_ran(honest: Evaluation) -> None:
    assert "fid" not in json.dumps(honest.record.to_json()).lower().replace("confidence", "").replace(
        "torch_fidelity", ""
    )


def test_order_of_pictures_does_not_matter(small_faces: Tensor, honest: Evaluation) -> None:
    order = torch.randperm(26, generator=torch.Generator().manual_seed(4))
    other = torch.randperm(24, generator=torch.Generator().manual_seed(5))
    again = evaluate(small_faces[24:][order], PreparedReference(small_faces[:24][other], batch_size=5), PROTOCOL)
    for name, entry in honest.record.to_json()["metrics"].items():
        assert again.record.to_json()["metrics"][name]["comparability"] == entry["comparability"]
        for key in ("value", "low", "high", "baseline"):
            if entry[key] is None:
                assert again.record.to_json()["metrics"][name][key] is None
            else:
                assert again.record.to_json()["metrics"][name][key] == pytest.approx(entry[key], rel=2e-3, abs=1e-4), (
                    name,
                    key,
                )
    assert again.record.to_json()["verdict"] == honest.record.to_json()["verdict"]


def test_same_evaluation_gives_the_same_record(small_faces: Tensor, honest: Evaluation) -> None:
    again = evaluate(small_faces[24:], PreparedReference(small_faces[:24]), PROTOCOL)
    left, right = (
        {key: value for key, value in record.to_json().items() if key not in ("created", "seconds", "timing")}
        for record in (again.record, honest.record)
    )
    assert left == right
    assert again.copying == honest.copying


def test_copies_are_red_and_shown_beside_their_source(small_faces: Tensor, reference: PreparedReference) -> None:
    fakes = small_faces[:24].flip(-1).flip(0)
    found = evaluate(fakes, reference, PROTOCOL, request=resolve(PROTOCOL, ["copying"]))
    assert found.record.to_json()["verdict"]["copying"] == "red"
    assert len(found.copying) == 16
    for pair in found.copying:
        # Symmetric faces equal their mirror images up to a pixel, so either view may be the nearest.
        assert pair.nearest == 23 - pair.fake
        assert pair.facts.distance < pair.facts.loo
    assert set(found.record.to_json()["metrics"]) == {
        *("copy_share", "nn_ratio", "authpct", "copy_share_pixels", "nn_ratio_pixels", "authpct_pixels")
    }


def test_one_fake_gives_pairs_and_reasons(small_faces: Tensor, reference: PreparedReference) -> None:
    found = evaluate(small_faces[30:31], reference, PROTOCOL)
    metrics = found.record.to_json()["metrics"]
    for name in ("fd_efflite0", "kid_efflite0", "precision_efflite0", "nn1_acc_efflite0", "div_efflite0"):
        assert metrics[name]["status"] == "not_applicable"
        assert metrics[name]["reason"]
    assert metrics["copy_share"]["status"] == "ok"
    assert metrics["fd_reference_efflite0"]["status"] == "ok"
    assert found.record.to_json()["verdict"]["copying"] == "grey"
    assert len(found.copying) == 1


def test_tiny_pictures_lose_only_the_patches(small_faces: Tensor) -> None:
    tiny = torch.nn.functional.avg_pool2d(small_faces.float(), 8).to(torch.uint8)
    request = resolve(PROTOCOL, ["patch_swd", "kid_efflite0"])
    found = evaluate(tiny[24:34], PreparedReference(tiny[:12]), PROTOCOL, request=request)
    assert found.record.to_json()["metrics"]["patch_swd"]["status"] == "not_applicable"
    assert "16 px" in found.record.to_json()["metrics"]["patch_swd"]["reason"]
    assert found.record.to_json()["metrics"]["kid_efflite0"]["status"] == "ok"


def test_holdout_tells_honest_pictures_from_copies(small_faces: Tensor) -> None:
    reference = PreparedReference(small_faces[:24])
    request = resolve(PROTOCOL, ["copying"])
    held = small_faces[24:37]
    honest = evaluate(small_faces[37:], reference, PROTOCOL, request=request, holdout=held).record.to_json()["metrics"]
    copies = evaluate(small_faces[:24], reference, PROTOCOL, request=request, holdout=held).record.to_json()["metrics"]
    share = honest["holdout_nearer_share"]
    assert share["low"] < 0.5 < share["high"]
    assert copies["holdout_nearer_share"]["value"] == 1.0
    assert copies["holdout_nn_ratio"]["value"] < 0.01


def test_walks_give_smoothness_and_steps(small_faces: Tensor, reference: PreparedReference) -> None:
    ends = small_faces[:6].float()
    shares = torch.linspace(0, 1, 5)[:, None, None, None, None]
    walks = ((1 - shares) * ends[:3] + shares * ends[3:]).to(torch.uint8).transpose(0, 1)
    request = resolve(PROTOCOL, ["smoothness"])
    found = evaluate(small_faces[24:], reference, PROTOCOL, request=request, walks=walks)
    assert len(found.record.to_json()["walk_steps"]) == 4
    assert found.record.to_json()["metrics"]["smoothness_detour_efflite0"]["value"] >= 1


def test_missing_weights_are_noted_where_skipping_was_allowed(
    small_faces: Tensor, reference: PreparedReference
) -> None:
    request = resolve(PROTOCOL, ["fid", "kid_efflite0", "lpips_diversity"], skip_missing=True)
    metrics = evaluate(small_faces[24:], reference, PROTOCOL, request=request).record.to_json()["metrics"]
    assert metrics["fid"]["status"] == "skipped"
    assert metrics["fid"]["reason"] == "weights missing: inception"
    assert metrics["lpips_diversity"]["reason"] == "weights missing: lpips-alex"
    assert metrics["kid_efflite0"]["status"] == "ok"


def test_one_failing_figure_does_not_lose_the_others(
    small_faces: Tensor, reference: PreparedReference, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object) -> float:
        raise RuntimeError("no convergence")

    monkeypatch.setattr(fidelity, "frechet_distance", broken)
    request = resolve(PROTOCOL, ["fd_efflite0", "kid_efflite0"])
    metrics = evaluate(small_faces[24:], reference, PROTOCOL, request=request).record.to_json()["metrics"]
    assert metrics["fd_efflite0"]["status"] == "failed"
    assert "no convergence" in metrics["fd_efflite0"]["reason"]
    assert metrics["kid_efflite0"]["status"] == "ok"
    assert "fd_efflite0 failed" in caplog.text


def test_unequal_sizes_and_empty_sets_are_refused(small_faces: Tensor, reference: PreparedReference) -> None:
    with pytest.raises(DataError, match="32 x 32 and the real ones 64 x 64"):
        evaluate(small_faces[24:, :, ::2, ::2], reference, PROTOCOL)
    with pytest.raises(DataError, match="0 generated"):
        evaluate(small_faces[:0], reference, PROTOCOL)


def test_second_evaluation_describes_no_real_picture(
    small_faces: Tensor, reference: PreparedReference, honest: Evaluation
) -> None:
    before = reference.store.extracted
    evaluate(small_faces[24:30], reference, PROTOCOL, request=resolve(PROTOCOL, ["copying"]))
    # Six fakes in two spaces, in one pass each; one more for the extractors of the request.
    assert reference.store.extracted - before <= 3 * 6


def test_measure_of_training_gives_a_record(small_faces: Tensor) -> None:
    record = prepare_measure(small_faces[:24], data={"name": "faces"})(small_faces[24:]).to_json()
    assert record["data"]["name"] == "faces"
    assert record["model"]["averaged"]
    assert record["verdict"]["copying"] == "green"
    assert record["protocol"]["num_fakes"] == 26


def test_provenance_is_written_down(small_faces: Tensor, reference: PreparedReference) -> None:
    model = ModelPart(truncation=0.7, averaged=True)
    provenance = Provenance("the command", DataPart(name="n"), FakesPart(name="f"), model)
    request = resolve(PROTOCOL, ["kid_efflite0"])
    record = evaluate(small_faces[24:], reference, PROTOCOL, request=request, provenance=provenance).record.to_json()
    plain = evaluate(small_faces[24:], reference, PROTOCOL, request=request).record.to_json()
    assert record["command"] == "the command"
    assert record["model"]["truncation"] == 0.7
    key = "comparability"
    assert record["metrics"]["kid_efflite0"][key] != plain["metrics"]["kid_efflite0"][key]


def test_features_go_to_the_store_when_kept(small_faces: Tensor, tmp_path: Any) -> None:
    for kept, files in ((False, 2), (True, 5)):
        store = FeatureStore(tmp_path / str(kept))
        reference = PreparedReference(small_faces[:8], store=store)
        request = resolve(PROTOCOL, ["kid_efflite0"])
        evaluate(small_faces[8:16], reference, PROTOCOL, request=request, keep_fakes=kept)
        written = len(list((tmp_path / str(kept)).rglob("*.safetensors")))
        assert written == files, kept


# --- verdicts ---------------------------------------------------------------------------------------------------------


def lookup(**values: float) -> verdicts.Lookup:
    return values.get


def test_worst_space_decides_quality() -> None:
    figures = dict(kid_efflite0=0.05, fd_mid_efflite0=20.0, fd_mid_reference_efflite0=25.0)
    spaces = verdicts.quality_by_space(lookup(**figures, patch_swd=300.0, patch_swd_reference=40.0))
    verdict = verdicts.quality_verdict(spaces)
    assert verdict.colour == "red"
    assert "patch_swd" in verdict.rule
    sentence = verdicts.disagreement(spaces)
    assert sentence is not None
    assert "small patches" in sentence


def test_no_space_decides_quality_alone() -> None:
    figures = dict(kid_efflite0=0.5, fd_mid_efflite0=20.0, fd_mid_reference_efflite0=25.0)
    lone = verdicts.quality_verdict(
        verdicts.quality_by_space(lookup(**figures, patch_swd=30.0, patch_swd_reference=40.0))
    )
    assert lone.colour == "amber"
    assert "Layout-aware features and small patches do not find them so far." in lone.text
    assert verdicts.quality_verdict(verdicts.quality_by_space(lookup(kid_efflite0=0.5))).colour == "grey"
    assert verdicts.quality_verdict([]).colour == "grey"


def test_pooled_features_are_no_judge_of_a_discriminator_built_on_them() -> None:
    figures = dict(kid_efflite0=0.5, fd_mid_efflite0=20.0, fd_mid_reference_efflite0=25.0)
    figures |= dict(patch_swd=30.0, patch_swd_reference=40.0)
    assert verdicts.quality_verdict(verdicts.quality_by_space(lookup(**figures))).colour == "amber"
    spaces = verdicts.quality_by_space(lookup(**figures), pooled_counts=False)
    assert verdicts.quality_verdict(spaces).colour == "green"


def test_agreement_needs_no_sentence() -> None:
    figures = dict(kid_efflite0=0.001, fd_mid_efflite0=20.0, fd_mid_reference_efflite0=25.0)
    assert verdicts.disagreement(verdicts.quality_by_space(lookup(**figures))) is None


@pytest.mark.parametrize(
    ("diversity", "coverage", "colour"),
    [(1.0, 0.95, "green"), (0.7, 0.95, "amber"), (1.0, 0.2, "red"), (0.3, 0.95, "red")],
)
def test_diversity_is_the_worse_of_variety_and_coverage(diversity: float, coverage: float, colour: str) -> None:
    values = lookup(div_efflite0=diversity, coverage_efflite0=coverage, precision_efflite0=0.8)
    assert verdicts.diversity_verdict(values).colour == colour


def test_varied_but_poor_pictures_are_not_called_uniform() -> None:
    values = lookup(div_efflite0=0.97, coverage_efflite0=0.0, precision_efflite0=0.02)
    verdict = verdicts.diversity_verdict(values)
    assert verdict.colour == "green"
    assert "only 2% of the generated pictures lie among the real ones" in verdict.text
    assert "next to none" in verdicts.diversity_verdict(lookup(coverage_efflite0=0.0, precision_efflite0=0.0)).text
    uniform = lookup(div_efflite0=0.1, coverage_efflite0=0.0, precision_efflite0=0.02)
    assert verdicts.diversity_verdict(uniform).colour == "red"
    coverage_alone = verdicts.diversity_verdict(lookup(coverage_efflite0=0.0, precision_efflite0=0.0))
    assert coverage_alone.colour == "grey"


def test_few_fakes_are_not_blamed_for_the_reals_that_they_cannot_reach() -> None:
    values = lookup(div_efflite0=1.0, coverage_efflite0=0.42, precision_efflite0=0.8)
    assert verdicts.diversity_verdict(values).colour == "amber"
    assert verdicts.diversity_verdict(values, fidelity.expected_coverage(12, 100)).colour == "green"


# --- one picture ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene(small_faces: Tensor) -> Tensor:
    return small_faces[0]


def test_single_record_judges_copies_red_and_keeps_distances_of_sets_out(scene: Tensor) -> None:
    reference = PreparedReference(scene[None])
    fakes = torch.stack([scene, scene.flip(-1)])
    found = evaluate_single(fakes, reference, PROTOCOL)
    metrics = found.record.to_json()["metrics"]
    assert metrics["kid_efflite0"]["status"] == "not_applicable"
    assert metrics["copy_rate"]["value"] == 1
    assert found.record.to_json()["verdict"]["copying"] == "red"
    assert found.record.to_json()["verdict"]["diversity"] == "grey"
    assert metrics["sifid64"]["status"] == "skipped"
    assert finite(found.record.to_json())
    parse_record(json.loads(json.dumps(found.record.to_json(), allow_nan=False)), "here")


def test_single_record_of_one_other_picture(scene: Tensor, small_faces: Tensor) -> None:
    other = small_faces[7]
    reference = PreparedReference(scene[None])
    found = evaluate_single(other[None], reference, PROTOCOL)
    metrics = found.record.to_json()["metrics"]
    assert metrics["pixel_diversity"]["status"] == "not_applicable"
    assert metrics["sifd_efflite0"]["value"] > 0
    assert metrics["distance_to_train_efflite0"]["value"] > 0.05
    table = summarise_scenes([found.record, found.record])
    assert table["sifd_efflite0"]["scenes"] == 2
    assert table["sifd_efflite0"]["std"] == 0
    assert table["sifd_efflite0"]["median"] == pytest.approx(metrics["sifd_efflite0"]["value"])
