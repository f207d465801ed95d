import math

import pytest
import torch
import torch.nn.functional as F

from sase_gan.drawing.gates import (
    rewired,
)
from sase_gan.drawing.latents import closed_walk, directions, mix, neighbours, variations
from sase_gan.drawing.sampling import Inputs, draw_images, draw_inputs, draw_latents
from sase_gan.errors import UsageError


@pytest.fixture
def latent() -> torch.Tensor:
    return torch.randn(24, generator=torch.Generator().manual_seed(5))


def test_the_map_keeps_its_middle_and_everybodys_length(latent):
    points = neighbours(latent, side=5, reach=0.6, seed=4)
    assert points.shape == (25, 24)
    assert torch.allclose(points[12], latent, atol=1e-5)
    assert torch.allclose(points.norm(dim=1), latent.norm().expand(25), atol=1e-4)


def test_the_middle_of_an_edge_is_at_the_reach(latent):
    points = neighbours(latent, side=5, reach=0.6, seed=4)
    for place in (2, 10, 14, 22):
        cosine = F.cosine_similarity(points[place], latent, dim=0).item()
        assert math.acos(cosine) == pytest.approx(0.6, abs=1e-4)


def test_opposite_places_of_the_map_mirror_each_other_around_the_middle(latent):
    points = neighbours(latent, side=5, reach=0.6, seed=4)
    along = (points[14] + points[10]) / 2
    assert F.cosine_similarity(along, latent, dim=0).item() == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(neighbours(latent, seed=5)[0], points[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"side": 4}, "side is 4; it must be odd"), ({"reach": 4.0}, "reach is 4.0; it must be between 0 and 3")],
)
def test_an_impossible_map_is_refused(latent, arguments, message):
    with pytest.raises(UsageError, match=message):
        neighbours(latent, **arguments)
    with pytest.raises(UsageError, match="a map of neighbours needs at least 3"):
        neighbours(latent[:2])


def test_a_map_of_one_place_is_the_picture_itself(latent):
    assert torch.equal(neighbours(latent, side=1), latent[None])


def test_variations_go_from_the_same_to_something_else(latent):
    assert torch.equal(variations(latent, 3, amount=0.0), latent.expand(3, -1))
    free = variations(latent, 2000, amount=math.pi / 2)
    assert free.mean(0).abs().max() < 0.1
    # cos(a)^2 + sin(a)^2 = 1: of many latents of variance 1 the variations have variance 1 again.
    many = torch.stack([variations(torch.randn(24), 1, amount=0.7, seed=seed)[0] for seed in range(400)])
    assert many.var().item() == pytest.approx(1, abs=0.05)
    with pytest.raises(UsageError, match=r"amount is 2.0; it must be between 0"):
        variations(latent, 1, amount=2.0)


def test_a_walk_passes_every_station_and_slows_down_there():
    stations = torch.randn(3, 24)
    way = closed_walk(stations, 8)
    assert len(way) == 24
    assert torch.allclose(way[::8], stations, atol=1e-6)
    steps = (way[1:9] - way[:8]).norm(dim=1)
    assert steps.argmax() in (3, 4)
    assert steps[0] < 0.4 * steps.max()
    assert steps[7] < 0.4 * steps.max()


def test_a_loop_closes_and_an_open_walk_ends_at_the_last_station():
    stations = torch.randn(3, 24)
    loop, open_walk = closed_walk(stations, 6), closed_walk(stations, 6, loop=False)
    assert len(loop) == 18
    assert len(open_walk) == 13
    assert torch.equal(open_walk[-1], stations[-1])
    # The step over the end is as small as the first one.
    assert (loop[0] - loop[-1]).norm() < 1.5 * (loop[1] - loop[0]).norm() + (stations[2] - stations[0]).norm() * 0.1
    with pytest.raises(UsageError, match="at least two pictures; got 1"):
        closed_walk(stations[:1], 6)
    with pytest.raises(UsageError, match="steps is 0"):
        closed_walk(stations, 0)


def test_factorisation_gives_the_left_singular_vectors_of_the_first_layer(network):
    found = directions(network, "factorisation", 6)
    assert torch.allclose(found @ found.T, torch.eye(6), atol=1e-5)
    weight = network.b4.weight.detach().flatten(1)
    left, values, _ = torch.linalg.svd(weight, full_matrices=False)
    assert torch.allclose((found @ left[:, :6]).abs(), torch.eye(6), atol=1e-3)
    # The strongest first: what the layer makes of each direction is as long as its singular value.
    assert torch.allclose((found @ weight).norm(dim=1), values[:6], rtol=1e-4)


def test_components_are_unit_vectors_that_move_early_features_more_than_chance(network, latent):
    found = directions(network, "components", 4)
    assert torch.allclose(found.norm(dim=1), torch.ones(4), atol=1e-5)

    def change(vectors):
        with torch.no_grad():
            maps = [network.get_submodule("b8")(network.b4(z), ()) for z in (latent + vectors, latent - vectors)]
        return (maps[0] - maps[1]).flatten(1).norm(dim=1).mean()

    chance = F.normalize(torch.randn(64, 24, generator=torch.Generator().manual_seed(0)))
    assert change(found) > 1.2 * change(chance)


@pytest.mark.parametrize("method", ["factorisation", "components"])
def test_the_sign_of_a_direction_is_settled(network, method, monkeypatch):
    found = directions(network, method, 5)
    assert (found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all()
    solve = torch.linalg.eigh

    def otherwise(matrix):
        values, vectors = solve(matrix)
        return values, -vectors

    # A library may give either sign; the last bits may differ even between two calls of the same.
    monkeypatch.setattr(torch.linalg, "eigh", otherwise)
    assert torch.allclose(found, directions(network, method, 5), atol=1e-5)


def test_unknown_directions_are_refused(network):
    with pytest.raises(UsageError, match="count is 25; it must be between 1 and the latent's 24 values"):
        directions(network, "factorisation", 25)
    with pytest.raises(UsageError, match="method is 'magic'; choose factorisation or components"):
        directions(network, "magic")


@pytest.mark.parametrize("kind", ["network", "plain"])
def test_mixing_a_picture_with_itself_changes_nothing(kind, request):
    network = request.getfixturevalue(kind)
    inputs = draw_inputs(network, [4])
    expected = draw_images(network, inputs).int()
    for size in (4, 16, 64):
        assert (mix(network, inputs, inputs, size).int() - expected).abs().max() <= 1


@pytest.mark.parametrize("kind", ["network", "plain"])
def test_above_the_last_size_nothing_is_mixed_and_more_the_lower_it_begins(kind, request):
    network = request.getfixturevalue(kind)
    first, second = draw_inputs(network, [4]), draw_inputs(network, [6])
    expected = draw_images(network, first)
    assert torch.equal(mix(network, first, second, 128), expected)
    changes = [(mix(network, first, second, size).int() - expected.int()).abs().float().mean() for size in (4, 64)]
    assert changes[0] > changes[1] > 0


def test_mixing_hands_over_the_channels_statistics(network):
    first, second = draw_inputs(network, [4]), draw_inputs(network, [6])
    with torch.no_grad():
        wanted = network.b4(second.z)
    seen = {}
    block = network.get_submodule("b8")

    def noting(x, noise):
        seen["x"] = x
        return block(x, noise)

    mix(rewired(network, {"b8": {"forward": noting}}), first, second, 4)
    assert torch.allclose(seen["x"].mean((2, 3)), wanted.mean((2, 3)), atol=1e-4)
    assert torch.allclose(seen["x"].std((2, 3)), wanted.std((2, 3)), atol=1e-3)


def test_pairs_of_unequal_length_are_refused(network):
    with pytest.raises(UsageError, match="2 first and 1 second latents"):
        mix(network, draw_inputs(network, [1, 2]), draw_inputs(network, [3]), 8)


def test_latents_share_the_noise_of_one_picture(network):
    inputs = draw_inputs(network, [7])
    z = torch.randn(5, 24)
    together = draw_latents(network, z, inputs.noise, batch_size=2)
    for latent, image in zip(z, together, strict=True):
        alone = draw_images(network, Inputs(latent[None], inputs.noise))[0]
        assert (image.int() - alone.int()).abs().max() <= 1
    assert draw_latents(network, z, None).shape == (5, 3, 64, 64)
