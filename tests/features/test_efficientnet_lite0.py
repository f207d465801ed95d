import pytest
import torch

from sase_gan.features import weights
from sase_gan.features.efficientnet_lite0 import EfficientNetLite0, efficientnet_lite0


def classes(network: EfficientNetLite0, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([network.describe(batch, ["logits"])["logits"].argmax(1) for batch in images.split(4)])


def test_photographs_of_pandas_are_pandas(network: EfficientNetLite0, pandas: torch.Tensor) -> None:
    assert (classes(network, pandas) == 388).sum() >= 99


def test_random_weights_know_no_pandas(pandas: torch.Tensor) -> None:
    assert (classes(EfficientNetLite0(pretrained=False), pandas[:20]) == 388).sum() <= 10


@pytest.mark.parametrize("image_size", [128, 224])
def test_equals_the_weights_own_package(network: EfficientNetLite0, image_size: int) -> None:
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


def test_one_pass_equals_several_and_shapes_are_as_told(network: EfficientNetLite0) -> None:
    images = torch.randint(0, 256, (2, 3, 96, 64), dtype=torch.uint8)
    out = network.describe(images, ("pooled", "mid", "logits"))
    for layer, width in {"pooled": 1280, "mid": 1960, "logits": 1000}.items():
        assert out[layer].shape == (2, width)
        torch.testing.assert_close(out[layer], network.describe(images, (layer,))[layer])
    assert network.early(images).shape == (2, 24, 24, 16)
    assert [m.shape[1] for m in network.features(torch.zeros(1, 3, 32, 32))] == [16, 24, 40, 112]


def test_the_two_image_formats_are_described_alike(network: EfficientNetLite0) -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    levels, units = (network.describe(x, ["pooled"])["pooled"] for x in (images, images / 127.5 - 1))
    torch.testing.assert_close(levels, units, atol=1e-4, rtol=1e-4)


def test_mid_cells_have_unit_length(network: EfficientNetLite0) -> None:
    mid = network.describe(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8), ["mid"])["mid"]
    torch.testing.assert_close(mid.view(2, 40, 49).norm(dim=1), torch.ones(2, 49))


def test_early_features_do_not_resize(network: EfficientNetLite0) -> None:
    # Far from borders a crop's features equal the whole picture's: so each position was seen at native size.
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    whole, part = network.early(images), network.early(images[..., 32:96, 32:96])
    torch.testing.assert_close(part[..., 6:-6, 6:-6], whole[..., 14:18, 14:18], atol=1e-4, rtol=1e-4)


def test_the_shared_network_is_built_once_and_stays_frozen(network: EfficientNetLite0) -> None:
    assert efficientnet_lite0("cpu") is network
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.train().modules())
