from pathlib import Path

import pytest
import torch

from sase_gan.errors import WeightsError
from sase_gan.features import weights
from sase_gan.features.lpips import LpipsNet, LpipsNetwork, lpips_network


def test_lpips_loads_the_whole_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    source = torchvision.models.squeezenet1_1(weights=None)
    monkeypatch.setattr(weights, "load_state_dict", lambda _name, _folder: source.state_dict())
    network = LpipsNetwork("squeeze")
    x = torch.rand(1, 3, 64, 64)
    # The last slice of lpips ends after torchvision's features[12], so both must give the same map.
    torch.testing.assert_close(network.network.net(x)[-1], source.features[:13](x))
    assert network.label == "LPIPS (squeeze, v0.1)"


def test_lpips_refuses_another_networks_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load_state_dict", lambda _name, _folder: {"conv.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="another network's"):
        LpipsNetwork("squeeze")


def test_lpips_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match="AlexNet weights were not found"):
        lpips_network("alex", tmp_path)
    network = LpipsNetwork("alex", untrained=True)
    assert "not LPIPS" in network.label
    with pytest.raises(ValueError, match="float images"):
        network(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="at least 32 px"):
        network(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_lpips_is_the_squared_distance_of_its_rows(net: LpipsNet) -> None:
    network = LpipsNetwork(net, untrained=True)
    a, b = torch.rand(2, 2, 3, 64, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        direct, rows = network(a, b), (network.embed(a) - network.embed(b)).square().sum(1)
    torch.testing.assert_close(rows, direct, rtol=1e-4, atol=1e-7)
    with pytest.raises(ValueError, match="px a side"):
        network.embed(a[..., :8, :8])
