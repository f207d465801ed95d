import copy
import math

import pytest
import torch

from sase_gan.drawing import sampling
from sase_gan.drawing.gates import rewired
from sase_gan.drawing.sampling import (
    MAX_SEED,
    Inputs,
    draw_images,
    draw_inputs,
    evaluating,
    joined,
    parse_seeds,
    sample_images,
    truncated,
)
from sase_gan.drawing.walks import latent_walk, spherical_interpolation
from sase_gan.errors import UsageError
from sase_gan.networks.generator import Generator, GeneratorConfig
from sase_gan.networks.pyramid import Pyramid, PyramidConfig
from sase_gan.pixels import to_uint8
from sase_gan.seeds import generator as random_generator
from tests.awake import awake

CONFIG = GeneratorConfig(image_size=32, width=4, latent_size=16, num_components=2)


@pytest.fixture(scope="module")
def network() -> Generator:
    return awake(CONFIG)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_picture_depends_on_its_seed_alone(network, batch_size):
    seeds = [5, 0, 17, 5, 123_456, 2, 9, 10]
    images = sample_images(network, seeds, batch_size=batch_size)
    alone = torch.cat([sample_images(network, [seed]) for seed in seeds])
    assert images.shape == (8, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert (images.int() - alone.int()).abs().max() <= 1
    assert (images[0].int() - images[3].int()).abs().max() <= 1
    assert (images[0].int() - images[1].int()).abs().max() > 20


def test_inputs_are_bit_equal_whatever_the_batch(network):
    together = draw_inputs(network, [4, 8, 15])
    for position, seed in enumerate((4, 8, 15)):
        alone = draw_inputs(network, [seed])
        assert torch.equal(together.z[position : position + 1], alone.z)
        for maps, own in zip(together.noise, alone.noise, strict=True):
            assert torch.equal(maps[position : position + 1], own)


def test_latents_come_from_one_cpu_generator_a_seed_and_noise_from_another(network):
    inputs = draw_inputs(network, [7])
    assert torch.equal(inputs.z[0], torch.randn(16, generator=random_generator(7, "latent")))
    source = random_generator(7, "noise")
    for maps, size in zip(inputs.noise, network.noise_sizes(), strict=True):
        assert torch.equal(maps, torch.randn(1, 1, size, size, generator=source))
    assert inputs.z.device.type == "cpu"


def test_drawing_leaves_the_global_random_state_alone(network):
    before = torch.get_rng_state()
    sample_images(network, [1, 2])
    assert torch.equal(before, torch.get_rng_state())


def test_noise_modes(network):
    random, fixed, off = (sample_images(network, [3, 4], noise=mode).int() for mode in ("random", "fixed", "off"))
    assert (random - off).abs().max() > 1
    assert (fixed - off).abs().max() > 1
    maps = draw_inputs(network, [3, 4], noise="fixed").noise
    assert all(torch.equal(noise[0], noise[1]) for noise in maps)
    assert all(torch.equal(a[:1], b) for a, b in zip(maps, draw_inputs(network, [0]).noise, strict=True))
    assert draw_inputs(network, [3], noise="off").noise is None
    with pytest.raises(UsageError, match="noise is 'none'; choose random, fixed or off"):
        sample_images(network, [3], noise="none")


def test_truncation_draws_the_first_map_towards_its_mean_and_keeps_the_noise(network):
    inputs = draw_inputs(network, [6])
    latents = draw_inputs(network, range(1000), noise="off").z
    with torch.inference_mode():
        # The mean by its definition, in float64, one map after the other.
        mean = sum(network.b4(z[None]).double() for z in latents) / 1000
        first = network.b4(inputs.z)
        torch.testing.assert_close(network.mean_first_map().double(), mean, atol=1e-6, rtol=1e-5)
        pulled = mean.float() + 0.5 * (first - mean.float())
    network = network.folded()
    half = draw_images(rewired(network, {"b4": {"forward": lambda z: pulled}}), inputs)
    drawn = sample_images(network, [6], truncation=0.5)
    assert (drawn.int() - half.int()).abs().max() <= 1
    assert not torch.equal(drawn, sample_images(network, [6]))
    for truncation in (-0.1, 2.1, math.nan):
        with pytest.raises(UsageError, match="it must be between 0 and 2"):
            sample_images(network, [6], truncation=truncation)


def test_no_truncation_changes_no_byte_and_none_at_all_leaves_the_mean(network):
    assert torch.equal(sample_images(network, [3, 4], truncation=1.0), sample_images(network, [3, 4]))
    drawn = sample_images(network, [3, 4], truncation=0.0, noise="off")
    assert torch.equal(drawn[0], drawn[1])


def test_pictures_of_a_batch_are_each_truncated_as_they_say(network):
    inputs = [truncated(network, draw_inputs(network, [seed]), share) for seed, share in ((3, 0.3), (4, 1.0), (5, 1.5))]
    drawn = draw_images(network, joined(inputs))
    alone = torch.cat([draw_images(network, one) for one in inputs])
    assert (drawn.int() - alone.int()).abs().max() <= 1


def test_the_mean_follows_the_weights_and_is_no_part_of_a_snapshot(network):
    twin = copy.deepcopy(network)
    before = twin.mean_first_map()
    assert twin.mean_first_map() is before
    assert twin.state_dict().keys() == network.state_dict().keys()
    with torch.no_grad():
        twin.b4.parametrizations.weight.original[0].mul_(3)
    assert not torch.equal(twin.mean_first_map(), before)
    twin.train()
    twin.mean_first_map()
    assert twin.b4.training


def test_latents_of_models_of_one_picture_are_multiplied_as_before():
    pyramid = Pyramid(PyramidConfig(sizes=((11, 11), (16, 16)), width=8))
    inputs = draw_inputs(pyramid, [3])
    assert torch.equal(truncated(pyramid, inputs, 0.5).z, inputs.z / 2)
    assert truncated(pyramid, inputs, 0.5).truncation is None


def test_pictures_are_the_networks_in_evaluation_mode_which_is_given_back(network):
    inputs = draw_inputs(network, [1, 2])
    with torch.no_grad():
        expected = to_uint8(network(*inputs).big)
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = sample_images(network, [1, 2])
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    network.eval()
    assert torch.equal(images, expected)


def test_mode_is_given_back_after_an_error(network):
    network.train()
    with pytest.raises(RuntimeError), evaluating(network):
        raise RuntimeError
    assert network.training
    network.eval()


def test_progress_counts_to_the_end(network):
    calls = []
    sample_images(network, range(5), batch_size=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 5), (4, 5), (5, 5)]


def test_interpolation_starts_and_ends_at_its_stations_and_keeps_lengths():
    a, b = torch.randn(64, dtype=torch.float64), 3 * torch.randn(64, dtype=torch.float64)
    assert torch.allclose(spherical_interpolation(a, b, 0.0), a)
    assert torch.allclose(spherical_interpolation(a, b, 1.0), b)
    for share in (0.25, 0.5, 0.8):
        length = spherical_interpolation(a, b, share).norm()
        assert length.item() == pytest.approx(((1 - share) * a.norm() + share * b.norm()).item())


def test_interpolation_turns_by_equal_angles():
    a, b = torch.tensor([2.0, 0.0]).double(), torch.tensor([0.0, 2.0]).double()
    for share in (0.2, 0.5, 0.9):
        angle = share * math.pi / 2
        expected = 2 * torch.tensor([math.cos(angle), math.sin(angle)]).double()
        assert torch.allclose(spherical_interpolation(a, b, share), expected)


@pytest.mark.parametrize("other", [2.0, -1.0])
def test_interpolation_of_parallel_latents_is_the_chord(other):
    a = torch.randn(8, dtype=torch.float64)
    assert torch.allclose(spherical_interpolation(a, other * a, 0.25), (0.75 + 0.25 * other) * a)


def test_walk_passes_its_stations_with_the_noise_of_the_first(network):
    noise = [maps.expand(2, -1, -1, -1) for maps in draw_inputs(network, [3]).noise]
    stations = draw_images(network, Inputs(draw_inputs(network, [3, 8]).z, noise))
    walk = latent_walk(network, [3, 8], steps=4)
    assert len(walk) == 5
    assert (walk[[0, 4]].int() - stations.int()).abs().max() <= 1
    loop = latent_walk(network, [3, 8], steps=4, loop=True, batch_size=3)
    assert len(loop) == 8
    assert (loop[:5].int() - walk.int()).abs().max() <= 1
    # The way back passes the same latents.
    assert (loop[5:].int() - walk[1:4].flip(0).int()).abs().max() <= 1
    steps = (walk[1:].float() - walk[:-1].float()).abs().mean((1, 2, 3))
    assert steps.max() < (walk[0].float() - walk[4].float()).abs().mean()


def test_walk_refuses_one_station_and_no_steps(network):
    with pytest.raises(UsageError, match="a walk needs at least two seeds; got 1"):
        latent_walk(network, [3])
    with pytest.raises(UsageError, match="steps is 0"):
        latent_walk(network, [3, 4], steps=0)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("0,1,4-6", [0, 1, 4, 5, 6]), (" 3 , 2-2", [3, 2]), ("5,5", [5, 5]), (str(MAX_SEED), [MAX_SEED])],
)
def test_seeds_are_parsed(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not understood"),
        ("1,,2", "'' is not understood"),
        ("a", "'a' is not understood; write for example 0,1,4-6"),
        ("1-b", "'1-b' is not understood"),
        ("-3", "'-3' is not understood"),
        ("3-", "'3-' is not understood"),
        ("1.5", "'1.5' is not understood"),
        ("²", "'²' is not understood"),
        ("9-3", "'9-3' runs backwards; write 3-9"),
        (str(MAX_SEED + 1), "it must be between 0 and 2147483647"),
        ("0-99999999999999", "it must be between 0 and 2147483647"),
    ],
)
def test_bad_seeds_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_seeds(text)


@pytest.mark.parametrize("seeds", [[], [-1], [MAX_SEED + 1]])
def test_sampling_refuses_no_seed_and_seeds_out_of_range(network, seeds):
    with pytest.raises(UsageError, match="seed"):
        sample_images(network, seeds)


def test_module_names_no_device_in_its_inputs():
    # What `draw_inputs` gives is on the CPU even for a network elsewhere: CPU and GPU start from the same numbers.
    with torch.device("meta"):
        elsewhere = Generator(CONFIG)
    assert sampling.draw_inputs(elsewhere, [0]).z.device.type == "cpu"
