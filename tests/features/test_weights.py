import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import known_weights, weights, weights_arrival


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty weights folders, so that files on the developer's computer have no say."""
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


def small_inception(
    monkeypatch: pytest.MonkeyPatch, content: bytes, megabytes: float = 0.0
) -> known_weights.WeightsFile:
    """The table's record for Inception as if the published file had this content."""
    record = dataclasses.replace(
        known_weights.KNOWN["inception"], sha256=hashlib.sha256(content).hexdigest()[:8], megabytes=megabytes
    )
    monkeypatch.setitem(known_weights.KNOWN, "inception", record)
    return record


def test_bundled_file_has_the_documented_hash() -> None:
    path = weights.find("efflite0")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == known_weights.KNOWN["efflite0"].sha256
    assert weights.state("efflite0") == "bundled"


def test_hash_prefixes_agree_with_the_file_names() -> None:
    for record in known_weights.KNOWN.values():
        if record.name != "dinov2":
            assert record.filename.removesuffix(".pth").endswith(record.sha256[:8])


def test_every_fetchable_file_has_an_address() -> None:
    for record in known_weights.KNOWN.values():
        assert record.name == "efflite0" or record.address().startswith("https://")
        assert record.name == "efflite0" or record.address().endswith(record.filename)


def test_missing_file_says_where_it_was_looked_for_and_how_to_go_on(places: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.require(["inception"], places / "mine", go_on="sase-gan evaluate FAKES --extractor efflite0")
    text = str(caught.value)
    assert text.startswith("FID was asked for, and the Inception weights were not found.")
    assert str(places / "mine") in text
    assert str(places / "hub" / "checkpoints") in text
    assert "weights-inception-2015-12-05-6726825d.pth (96 MB)" in text
    assert "sase-gan weights import inception FILE" in text
    assert text.endswith("--extractor efflite0")
    assert caught.value.exit_code == 3


def test_all_missing_files_are_told_together(places: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.require(["inception", "efflite0", "lpips-alex"])
    assert "Inception weights" in str(caught.value)
    assert "AlexNet weights" in str(caught.value)
    assert "EfficientNet" not in str(caught.value)


def test_folders_are_searched_in_order(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"published"
    record = small_inception(monkeypatch, content)
    monkeypatch.setenv(weights.ENVIRONMENT_VARIABLE, str(places / "environment"))
    folders = [places / "hub" / "checkpoints", places / "environment", places / "mine"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / record.filename).write_bytes(content)
        assert weights.find("inception", places / "mine").parent == folder


def test_cut_short_file_is_called_cut_short(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_inception(monkeypatch, b"x" * 1_000_000, megabytes=1.0)
    (places / record.filename).write_bytes(b"x" * 500_000)
    with pytest.raises(WeightsError, match=r"cut short: 0\.5 MB of 1\.0 MB"):
        weights.find("inception", places)
    assert weights.state("inception", places) == "damaged"


def test_changed_file_is_called_damaged_and_never_loaded(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_inception(monkeypatch, b"published")
    (places / record.filename).write_bytes(b"disturbed")
    monkeypatch.setattr(torch, "load", lambda *_args, **_kwargs: (_ for _ in ()).throw(RuntimeError("not a zip")))
    with pytest.raises(WeightsError, match="SHA-256 starts with"):
        weights.load_state_dict("inception", places)


@pytest.mark.parametrize("by_hash", [True, False])
def test_torchvision_inception_is_told_apart(places: Path, monkeypatch: pytest.MonkeyPatch, by_hash: bool) -> None:
    record = small_inception(monkeypatch, b"published")
    path = places / record.filename
    torch.save({"AuxLogits.fc.weight": torch.zeros(2), "Conv2d_1a_3x3.conv.weight": torch.zeros(2)}, path)
    if by_hash:
        other = dataclasses.replace(known_weights.KNOWN["inception-tv"], sha256=weights.file_sha256(path)[:8])
        monkeypatch.setitem(known_weights.KNOWN, "inception-tv", other)
    with pytest.raises(WeightsError, match="torchvision Inception, not the Inception weights that FID needs"):
        weights.find("inception", places)


def test_file_that_is_no_table_of_tensors_is_refused(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_inception(monkeypatch, b"not a torch file")
    (places / record.filename).write_bytes(b"not a torch file")
    with pytest.raises(WeightsError, match="cannot be read as tensors"):
        weights.load_state_dict("inception", places)


def test_import_checks_before_it_copies(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_inception(monkeypatch, b"published")
    carried = places / "usb-stick.pth"
    carried.write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"usb-stick\.pth"):
        weights_arrival.import_file("inception", carried, places / "target")
    assert not (places / "target" / record.filename).exists()
    carried.write_bytes(b"published")
    assert weights_arrival.import_file("inception", carried, places / "target").name == record.filename
    assert weights.find("inception", places / "target").read_bytes() == b"published"


def test_file_without_published_hash_is_held_to_the_hash_it_came_with(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = dataclasses.replace(known_weights.KNOWN["dinov2"], megabytes=0.0)
    monkeypatch.setitem(known_weights.KNOWN, "dinov2", record)
    (places / "carried.pth").write_bytes(b"first")
    path = weights_arrival.import_file("dinov2", places / "carried.pth", places)
    assert weights.find("dinov2", places) == path
    path.write_bytes(b"later")
    with pytest.raises(WeightsError, match="SHA-256"):
        weights.find("dinov2", places)


def test_fetch_from_a_file_address_and_without_a_network(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "server").mkdir()
    record = small_inception(monkeypatch, b"published")
    source = places / "server" / record.filename
    source.write_bytes(b"published")
    monkeypatch.setitem(known_weights.KNOWN, "inception", dataclasses.replace(record, url=source.as_uri()))
    seen: list[int] = []
    path = weights_arrival.fetch(
        "inception", places / "target", progress=lambda received, _expected: seen.append(received)
    )
    assert path.read_bytes() == b"published"
    assert seen == [9]
    source.unlink()
    with pytest.raises(WeightsError, match="could not be downloaded"):
        weights_arrival.fetch("inception", places / "other")
    assert not (places / "other" / record.filename).exists()


def test_bundled_weights_are_not_fetched() -> None:
    with pytest.raises(UsageError, match="need no fetching"):
        weights_arrival.fetch("efflite0")


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="inception-tv"):
        weights.find("resnet")
