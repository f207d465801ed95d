import copy
import pickle

import pytest
import torch
from torch import nn

from sase_gan.layers.primitives import conv
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.training.averaging import WeightAverage, recalibrated


def network_of(value: float) -> nn.Module:
    network = nn.Linear(3, 2).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def value_of(average: WeightAverage) -> float:
    values = torch.cat([p.flatten() for p in average.module.parameters()])
    assert values.max() == values.min()
    return values[0].item()


@pytest.mark.parametrize("batch", [1, 4, 7, 40])
def test_half_of_the_way_is_gone_after_the_half_life_whatever_the_batch(batch):
    average, seen = WeightAverage(network_of(0.0), half_life=280, ramp_up=0), 0
    while seen < 280:
        seen += batch
        average.update(network_of(1.0), batch=batch, images_seen=seen)
    assert value_of(average) == pytest.approx(0.5, abs=1e-9)
    while seen < 840:
        seen += batch
        average.update(network_of(1.0), batch=batch, images_seen=seen)
    assert value_of(average) == pytest.approx(1 - 0.5**3, abs=1e-9)


def test_released_decay_is_a_half_life_of_5542_images_at_batch_8():
    assert WeightAverage(network_of(0), half_life=5542, ramp_up=0).beta(8, 80) == pytest.approx(0.999, abs=1e-6)


def test_ramp_up_shortens_the_half_life_to_a_share_of_the_images_seen():
    average = WeightAverage(network_of(0.0), half_life=1000)
    assert average.beta(8, 0) == 0
    assert average.beta(8, 160) == pytest.approx(0.5)  # half-life 0.05 * 160 = 8 images
    assert average.beta(8, 1600) == pytest.approx(0.5 ** (8 / 80))
    assert average.beta(8, 20_000) == average.beta(8, 10**7) == pytest.approx(0.5 ** (8 / 1000))


def test_first_weights_are_forgotten_with_the_ramp():
    average = WeightAverage(network_of(5.0), half_life=1000, ramp_up=0.05)
    for step in range(1, 6):
        average.update(network_of(1.0), batch=8, images_seen=8 * step)
    assert value_of(average) == pytest.approx(1, abs=1e-6)


def test_buffers_are_copied_not_averaged():
    network = nn.BatchNorm2d(2)
    average = WeightAverage(network, half_life=100, ramp_up=0)
    network(torch.randn(4, 2, 3, 3))
    average.update(network, batch=4, images_seen=4)
    for key, buffer in network.named_buffers():
        assert torch.equal(dict(average.module.named_buffers())[key], buffer)


def test_the_followed_network_is_left_alone_and_gets_its_gradients():
    network = nn.Linear(3, 2)
    average = WeightAverage(network, half_life=100)
    before = copy.deepcopy(network.state_dict())
    average.update(network, batch=4, images_seen=4)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_average_survives_a_round_trip_of_its_state_and_copies():
    average = WeightAverage(network_of(0.0), half_life=100, ramp_up=0)
    average.update(network_of(1.0), batch=50, images_seen=50)
    other = WeightAverage(network_of(7.0), half_life=100, ramp_up=0)
    other.load_state_dict(average.state_dict())
    copies = [average, other, copy.deepcopy(average), pickle.loads(pickle.dumps(average))]
    for candidate in copies:
        candidate.update(network_of(1.0), batch=50, images_seen=100)
        assert value_of(candidate) == pytest.approx(0.5, abs=1e-12)


def test_half_life_of_nothing_is_refused():
    with pytest.raises(ValueError, match="half_life is 0 images; it must be above 0"):
        WeightAverage(network_of(0.0), half_life=0)
    assert WeightAverage(network_of(0.0), half_life=0.5, ramp_up=0).beta(1, 1) == 0.25


def test_recalibrated_statistics_are_the_mean_over_the_batches():
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).double()
    network[1].running_mean.fill_(99.0)
    batches = [(torch.randn(4, 2, 3, 3, dtype=torch.float64),) for _ in range(3)]
    result = recalibrated(network, batches)
    with torch.no_grad():
        maps = [network[0](x) for (x,) in batches]
    means = torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0)
    variances = torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0)
    assert torch.allclose(result[1].running_mean, means, atol=1e-12)
    assert torch.allclose(result[1].running_var, variances, atol=1e-12)
    assert not result.training
    assert result[1].momentum == network[1].momentum == 0.1
    assert (network[1].running_mean == 99).all()
    assert network.training


def test_recalibration_settles_the_singular_vectors_of_averaged_weights():
    network = nn.Sequential(conv(4, 6, 3), nn.BatchNorm2d(6)).double()
    with torch.no_grad():
        raw = network[0].parametrizations.weight.original
        strong = torch.outer(torch.randn(6), torch.randn(36)).double()
        raw.copy_((raw.flatten(1) + strong).reshape(raw.shape))  # as if averaged: the vectors belong to other weights
    result = recalibrated(network, [(torch.randn(2, 4, 5, 5).double(),)])
    assert torch.linalg.svdvals(result[0].weight.flatten(1))[0].item() == pytest.approx(1, abs=1e-6)


def test_recalibration_changes_no_parameter_and_not_the_original():
    network = Generator(GeneratorConfig(image_size=32, width=4, latent_size=8, num_components=2))
    before = copy.deepcopy(network.state_dict())
    noise = [torch.randn(4, 1, size, size) for size in network.noise_sizes()]
    result = recalibrated(network, [(torch.randn(4, 8), noise)])
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    for (name, old), new in zip(network.named_parameters(), result.parameters(), strict=True):
        assert torch.equal(old, new), name
