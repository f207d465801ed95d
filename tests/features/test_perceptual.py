import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import perceptual, weights


@pytest.fixture(scope="module")
def network() -> perceptual.EfficientNetLite0:
    return perceptual.efficientnet_lite0()


@pytest.fixture(scope="module")
def pandas(shared_data: Path) -> torch.Tensor:
    files = sorted((shared_data / "100-shot-panda").glob("*.jpg"))
    return torch.stack([torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files])


def classes(network: perceptual.EfficientNetLite0, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([network.logits(batch).argmax(1) for batch in images.split(4)])


def test_photographs_of_pandas_are_pandas(network: perceptual.EfficientNetLite0, pandas: torch.Tensor) -> None:
    assert (classes(network, pandas) == 388).sum() >= 99


def test_random_weights_know_no_pandas(pandas: torch.Tensor) -> None:
    assert (classes(perceptual.EfficientNetLite0(pretrained=False), pandas[:20]) == 388).sum() <= 10


@pytest.mark.parametrize("image_size", [128, 224])
def test_equals_the_weights_own_package(network: perceptual.EfficientNetLite0, image_size: int) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(weights.load_state_dict("efflite0"))
    theirs.eval()
    x = torch.randn(2, 3, image_size, image_size)
    with torch.inference_mode():
        features = theirs.extract_features(x).mean((2, 3))
        ours = network.network.forward_head(network.network.forward_features(x), pre_logits=True)
        torch.testing.assert_close(ours, features, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(network.network(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_one_pass_equals_the_methods_and_shapes_are_as_told(network: perceptual.EfficientNetLite0) -> None:
    images = torch.randint(0, 256, (2, 3, 96, 64), dtype=torch.uint8)
    out = network.describe(images, ("pooled", "mid", "logits"))
    for layer, width in {"pooled": 1280, "mid": 1960, "logits": 1000}.items():
        assert out[layer].shape == (2, width)
        torch.testing.assert_close(out[layer], getattr(network, layer)(images))
    assert network.early(images).shape == (2, 24, 24, 16)
    assert [m.shape[1] for m in network.features(torch.zeros(1, 3, 32, 32))] == [16, 24, 40, 112]


def test_the_two_image_formats_are_described_alike(network: perceptual.EfficientNetLite0) -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(network.pooled(images), network.pooled(images / 127.5 - 1), atol=1e-4, rtol=1e-4)


def test_mid_cells_have_unit_length(network: perceptual.EfficientNetLite0) -> None:
    mid = network.mid(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    torch.testing.assert_close(mid.view(2, 40, 49).norm(dim=1), torch.ones(2, 49))


def test_early_features_do_not_resize(network: perceptual.EfficientNetLite0) -> None:
    # Far from borders a crop's features equal the whole picture's: so each position was seen at native size.
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    whole, part = network.early(images), network.early(images[..., 32:96, 32:96])
    torch.testing.assert_close(part[..., 6:-6, 6:-6], whole[..., 14:18, 14:18], atol=1e-4, rtol=1e-4)


def test_the_shared_network_is_built_once_and_stays_frozen(network: perceptual.EfficientNetLite0) -> None:
    assert perceptual.efficientnet_lite0("cpu") is network
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.train().modules())


def test_building_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    perceptual.EfficientNetLite0(pretrained=False)
    perceptual.LpipsNetwork("squeeze", untrained=True)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("bad", [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8).long()])
def test_wrong_images_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="Images must"):
        perceptual.to_unit(bad)


@pytest.mark.parametrize("kind", ["l1", "efflite0", "lpips-squeeze"])
def test_reconstruction_losses_are_zero_for_equal_and_grow_with_disturbance(
    kind: perceptual.ReconstructionKind,
) -> None:
    loss = perceptual.reconstruction_loss(kind, untrained=kind.startswith("lpips"))
    target = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8) * 2 - 1, size=64, mode="bilinear")
    noise = torch.randn_like(target)
    values = [loss((target + s * noise).clamp(-1, 1), target) for s in (0, 0.1, 0.5)]
    assert values[0].shape == (2,)
    torch.testing.assert_close(values[0], torch.zeros(2))
    assert (values[1] > 0).all()
    assert (values[2] > values[1]).all()


def test_perceptual_loss_has_a_useful_gradient_to_the_prediction_only() -> None:
    loss = perceptual.reconstruction_loss("efflite0")
    target = torch.nn.functional.interpolate(torch.rand(1, 3, 4, 4) * 2 - 1, size=32, mode="bilinear")
    pred = (target + 0.3 * torch.randn_like(target)).requires_grad_()
    before = loss(pred, target)
    (gradient,) = torch.autograd.grad(before.sum(), pred)
    with torch.no_grad():
        after = loss(pred - 0.02 * gradient / gradient.abs().mean(), target)
    assert (after < before).all()
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_perceptual_loss_has_the_order_of_lpips(pandas: torch.Tensor) -> None:
    loss = perceptual.reconstruction_loss("efflite0")
    small = torch.nn.functional.interpolate(pandas[:9] / 127.5 - 1, size=128, mode="bicubic", antialias=True)
    with torch.inference_mode():
        assert 0.5 < loss(small[:8], small[1:9]).mean() < 0.8


def test_losses_of_a_training_module_do_not_move_the_shared_network() -> None:
    loss = perceptual.reconstruction_loss("efflite0")
    loss.to(torch.float64)
    assert next(perceptual.efficientnet_lite0().parameters()).dtype == torch.float32
    copy.deepcopy(loss)


def test_lpips_loads_the_whole_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    source = torchvision.models.squeezenet1_1(weights=None)
    monkeypatch.setattr(weights, "load_state_dict", lambda _name, _folder: source.state_dict())
    network = perceptual.LpipsNetwork("squeeze")
    x = torch.rand(1, 3, 64, 64)
    # The last slice of lpips ends after torchvision's features[12], so both must give the same map.
    torch.testing.assert_close(network.network.net(x)[-1], source.features[:13](x))
    assert network.label == "LPIPS (squeeze, v0.1)"


def test_lpips_refuses_another_networks_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load_state_dict", lambda _name, _folder: {"conv.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="another network's"):
        perceptual.LpipsNetwork("squeeze")


def test_lpips_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match="AlexNet weights were not found"):
        perceptual.lpips_network("alex", tmp_path)
    network = perceptual.LpipsNetwork("alex", untrained=True)
    assert "not LPIPS" in network.label
    with pytest.raises(ValueError, match="float images"):
        network(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="at least 32 px"):
        network(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))


def test_settings_without_effect_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="no effect"):
        perceptual.reconstruction_loss("l1", untrained=True)
    with pytest.raises(UsageError, match="no reconstruction loss"):
        perceptual.reconstruction_loss("ssim")  # type: ignore[arg-type]


def test_dinov2_describes_pictures_of_any_size() -> None:
    network = perceptual.DinoV2(untrained=True)
    assert network.pooled(torch.randint(0, 256, (1, 3, 40, 56), dtype=torch.uint8)).shape == (1, 384)


@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_lpips_is_the_squared_distance_of_its_rows(net: perceptual.LpipsNet) -> None:
    network = perceptual.LpipsNetwork(net, untrained=True)
    a, b = torch.rand(2, 2, 3, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        direct, rows = network(a, b), (network.embed(a) - network.embed(b)).square().sum(1)
    torch.testing.assert_close(rows, direct, rtol=1e-4, atol=1e-7)
    with pytest.raises(ValueError, match="px a side"):
        network.embed(a[..., :8, :8])
