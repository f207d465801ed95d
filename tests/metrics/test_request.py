from pathlib import Path

import pytest
import torch

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights
from sase_gan.metrics.book import RecordBook, Setting, comparability
from sase_gan.metrics.figures import figure, identify, known_figures
from sase_gan.metrics.request import PROTOCOLS, TRAINING, named_protocol, resolve


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))


def test_default_needs_no_downloads() -> None:
    request = resolve(named_protocol("quick"))
    assert request.extractors == ("efflite0",)
    assert request.missing == ()
    assert request.wants(figure("kid", "efflite0"))


def test_inception_by_name_is_an_error_without_its_file() -> None:
    with pytest.raises(WeightsError, match="FID was asked for"):
        resolve(named_protocol("quick"), ["fid"])
    with pytest.raises(WeightsError, match="Inception weights"):
        resolve(named_protocol("paper-5k"))
    request = resolve(named_protocol("quick"), ["fid", "copy_share"], skip_missing=True)
    assert request.missing == ("inception",)
    assert request.extractors == ("efflite0",)


def test_fastgans_inception_belongs_to_its_protocol() -> None:
    quick = named_protocol("quick")
    for protocol, names in ((quick, ["fid_fastgan"]), (quick.changed(extractors=("inception-fastgan",)), None)):
        with pytest.raises(UsageError, match="--protocol fid_fastgan"):
            resolve(protocol, names)
    protocol = named_protocol("fid_fastgan")
    assert protocol.num_fakes % 16 == 0
    request = resolve(protocol, skip_missing=True)
    assert (request.extractors, request.missing) == ((), ("inception-fastgan",))
    # Records of all others say what they said before there was another pipeline.
    assert ["pipeline" in named_protocol(name).to_record() for name in ("fid_fastgan", "quick")] == [True, False]


def test_several_missing_files_are_one_message() -> None:
    with pytest.raises(WeightsError) as caught:
        resolve(named_protocol("quick"), ["fid", "kid_vgg16", "kid_dinov2", "lpips_diversity"])
    for title in ("Inception", "VGG16", "DINOv2", "AlexNet"):
        assert f"the {title}" in str(caught.value)


def test_names_choose_networks_and_groups() -> None:
    request = resolve(named_protocol("quick"), ["copying"])
    assert request.wants(figure("nn_ratio"))
    assert not request.wants(figure("kid", "efflite0"))
    assert not request.wants_group("distribution")
    request = resolve(named_protocol("quick"), ["patch_swd"])
    assert request.wants(figure("patch_swd_level", scale=32))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no figure called 'fdi'"):
        resolve(named_protocol("quick"), ["fdi"])
    with pytest.raises(UsageError, match="no feature extractor 'resnet'"):
        resolve(named_protocol("quick").changed(extractors=("resnet",)))
    with pytest.raises(UsageError, match="quick, standard, paper-5k, clean"):
        named_protocol("fast")


def test_literature_names_belong_to_inception_alone() -> None:
    for name in ("fid", "kid", "precision", "recall", "density", "coverage", "inception_score", "mifid"):
        assert identify(name).network == "inception"
    assert identify("fid_clean").network == "inception-clean"
    assert identify("fd_efflite0").network == "efflite0"
    assert figure("is", "efflite0").name == "is_efflite0"
    assert not any("fid" in name for name in known_figures() if name.endswith("efflite0"))


def test_changed_protocols_are_custom() -> None:
    quick = PROTOCOLS["quick"]
    assert quick.changed(num_fakes=None, truncation=1.0) is quick
    assert quick.changed(num_fakes=64).name == "custom"
    assert TRAINING.name == "custom"
    assert quick.to_record()["extractors"] == ["auto"]


def test_comparability_depends_on_everything_that_changes_the_meaning() -> None:
    setting = Setting(n_real=100, n_fake=1000, reference_set="a", image_size=(64, 64))
    hashes = set()
    for changes in ({}, {"n_real": 50}, {"n_fake": 500}, {"truncation": 0.7}, {"resize": "x"}, {"reference_set": "b"}):
        book = RecordBook()
        book.add(figure("kid", "efflite0"), 0.1, Setting(**{**setting.__dict__, **changes}))
        hashes.add(book.metrics["kid_efflite0"].comparability)
    assert len(hashes) == 6
    assert comparability({"a": 1, "b": 2}) == comparability({"b": 2, "a": 1})


def test_figures_that_are_not_finite_are_failures() -> None:
    book = RecordBook()
    setting = Setting(n_real=1, n_fake=1, reference_set="a", image_size=(8, 8))
    book.add(figure("kid", "efflite0"), float("nan"), setting)
    assert book.metrics["kid_efflite0"].status == "failed"
    assert book.metrics["kid_efflite0"].value is None
    assert book.value("kid_efflite0") is None
    assert book.value("never") is None
