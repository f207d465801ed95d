from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights
from sase_gan.features.efficientnet_lite0 import efficientnet_lite0
from sase_gan.metrics import extractors as features
from sase_gan.metrics import feature_store
from sase_gan.metrics.reference import PictureSet


class Counting:
    """Mean colours; counts the pictures it saw."""

    name = "counting"
    resize = "none"
    pooled_layer = "mean"
    logits_layer = None
    weights_sha256 = "a"

    def __init__(self) -> None:
        self.seen = 0

    def describe(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        self.seen += len(images)
        means = images.float().mean((2, 3))
        return {layer: means for layer in layers}


def pictures(n: int = 10) -> Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8)


def test_second_store_reads_what_the_first_wrote(tmp_path: Path) -> None:
    images, extractor = pictures(), Counting()
    digest = PictureSet(images).digest
    first = feature_store.FeatureStore(tmp_path).features(images, digest, extractor, ["mean"], batch_size=3)["mean"]
    again = feature_store.FeatureStore(tmp_path).features(images, digest, extractor, ["mean"])["mean"]
    assert extractor.seen == 10
    assert torch.equal(first, again)


def test_changed_pictures_weights_resize_or_layer_are_described_anew(tmp_path: Path) -> None:
    images, extractor = pictures(), Counting()
    store = feature_store.FeatureStore(tmp_path)
    digest = PictureSet(images).digest
    store.features(images, digest, extractor, ["mean"])
    changed = images.clone()
    changed[3, 0, 0, 0] ^= 1
    store.features(changed, PictureSet(changed).digest, extractor, ["mean"])
    assert extractor.seen == 20
    extractor.weights_sha256 = "b"
    store.features(images, digest, extractor, ["mean"])
    assert extractor.seen == 30
    extractor.resize = "bicubic"
    store.features(images, digest, extractor, ["mean"])
    assert extractor.seen == 40
    store.features(images, digest, extractor, ["mean", "other"])
    assert extractor.seen == 50


def test_nothing_is_written_without_a_folder_or_when_not_kept(tmp_path: Path) -> None:
    images, extractor = pictures(), Counting()
    feature_store.FeatureStore().features(images, "x", extractor, ["mean"])
    store = feature_store.FeatureStore(tmp_path)
    store.features(images, "x", extractor, ["mean"], keep=False)
    assert list(tmp_path.rglob("*.safetensors")) == []


def test_damaged_file_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, extractor = pictures(), Counting()
    good = feature_store.FeatureStore(tmp_path).features(images, "x", extractor, ["mean"])["mean"]
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(b"half a fi")
    again = feature_store.FeatureStore(tmp_path).features(images, "x", extractor, ["mean"])["mean"]
    assert torch.equal(good, again)
    assert "made again" in caplog.text


def test_oldest_files_go_when_the_folder_is_full(tmp_path: Path) -> None:
    store = feature_store.FeatureStore(tmp_path, limit_bytes=700)
    for name in ("a", "b", "c", "d", "e"):
        store.features(pictures(), name, Counting(), ["mean"])  # about 200 bytes each
    left = list(tmp_path.rglob("*.safetensors"))
    assert 1 <= len(left) < 5
    assert sum(file.stat().st_size for file in left) <= 700


def test_batch_size_changes_nothing_beyond_rounding() -> None:
    images = pictures(7)
    extractor = features.EffLite0Extractor()
    layers = ["pooled", "mid", "logits"]
    one, three = (
        feature_store.FeatureStore().features(images, "x", extractor, layers, batch_size=size) for size in (1, 3)
    )
    for layer in layers:
        torch.testing.assert_close(one[layer], three[layer], atol=2e-5, rtol=1e-4)


def test_efflite0_layers_are_those_of_the_network() -> None:
    images = pictures(2)
    out = feature_store.FeatureStore().features(images, "x", features.EffLite0Extractor(), ["mid", "mid_shifts"])
    with torch.inference_mode():
        mid = efficientnet_lite0().describe(images, ["mid"])["mid"]
    torch.testing.assert_close(out["mid"], mid)
    torch.testing.assert_close(out["mid_shifts"][:, 0], mid)


def test_digest_and_order_depend_on_the_pictures_alone() -> None:
    images = pictures()
    order = torch.randperm(10)
    a, b = PictureSet(images, [str(i) for i in range(10)]), PictureSet(images[order], [str(int(i)) for i in order])
    assert a.digest == b.digest
    assert torch.equal(a.images, b.images)
    assert a.names == b.names
    assert [a.names[place] for place in range(10)] == [str(index) for index in a.order]


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SASE_GAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert feature_store.default_cache_folder() == tmp_path / "sase_gan"
    monkeypatch.setenv("SASE_GAN_CACHE", str(tmp_path / "mine"))
    assert feature_store.default_cache_folder() == tmp_path / "mine"


def test_extractors_say_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv(weights.ENVIRONMENT_VARIABLE, raising=False)
    for name in ("inception", "inception-clean", "vgg16", "dinov2"):
        with pytest.raises(WeightsError, match="were not found"):
            features.build_extractor(name)
    with pytest.raises(UsageError, match="no feature extractor"):
        features.build_extractor("resnet")


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights in the layout of the FID network."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path_factory.mktemp("weights") / "random.pth"
    original = torch.load
    torch.load = lambda *_args, **_kwargs: {}  # type: ignore[assignment]
    load_state_dict = FeatureExtractorInceptionV3.load_state_dict
    FeatureExtractorInceptionV3.load_state_dict = lambda self, state: None  # type: ignore[method-assign]
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path="x")
    finally:
        torch.load = original
        FeatureExtractorInceptionV3.load_state_dict = load_state_dict  # type: ignore[method-assign]
    torch.save(network.state_dict(), path)
    return path


def test_inception_runs_through_the_library_and_its_clean_resize(
    random_inception: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "find", lambda _name, _folder=None: random_inception)
    images = torch.randint(0, 256, (2, 3, 299, 299), dtype=torch.uint8)
    plain = features.LibraryExtractor("inception")
    clean = features.LibraryExtractor("inception-clean")
    with torch.inference_mode():
        a = plain.describe(images, ["2048", "logits_unbiased"])
        b = clean.describe(images, ["2048"])
    assert a["2048"].shape == (2, 2048)
    assert a["logits_unbiased"].shape == (2, 1008)
    # At its own size neither resize does anything, so the two routes through the network must agree.
    torch.testing.assert_close(a["2048"], b["2048"], atol=1e-4, rtol=1e-4)
    assert clean.resize != plain.resize


def test_inception_as_fastgan_feeds_it(random_inception: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find", lambda _name, _folder=None: random_inception)
    images = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    fastgan = features.LibraryExtractor("inception-fastgan")
    # Bilinear at pixel centres, the border repeated, by hand.
    place = ((torch.arange(299) + 0.5) * 256 / 299 - 0.5).clamp(0)
    low, share = place.long(), place - place.long()
    high = (low + 1).clamp_max(255)
    x = images.float() / 127.5 - 1
    x = x[:, :, low] * (1 - share)[:, None] + x[:, :, high] * share[:, None]
    x = x[..., low] * (1 - share) + x[..., high] * share
    with torch.inference_mode():
        found = fastgan.describe(images, ["2048"])["2048"]
        for stage in features._INCEPTION_STAGES:
            x = getattr(fastgan.network, stage)(x)
    torch.testing.assert_close(found, x.flatten(1), atol=1e-4, rtol=1e-4)


def test_clean_resize_does_not_alias() -> None:
    # A fine checkerboard has no coarse structure: without antialiasing it would leave stripes.
    board = ((torch.arange(600)[:, None] + torch.arange(600)) % 2 * 255).to(torch.uint8).expand(3, 600, 600)
    out = features._pillow_resize(board, 299)
    assert (out[:, 5:-5, 5:-5] - 127.5).abs().max() < 30
