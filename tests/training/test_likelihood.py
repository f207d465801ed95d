"""The likelihood term against slow forms written from its definition, and as a part of the step."""

import copy

import pytest
import torch
from torch import Tensor, nn

from sase_gan.features.efficientnet_lite0 import efficientnet_lite0
from sase_gan.networks.generator import Generator, Pictures
from sase_gan.pixels import to_float
from sase_gan.seeds import generator as random_generator
from sase_gan.training import likelihood
from sase_gan.training.config import LikelihoodSection
from sase_gan.training.likelihood import LikelihoodTerm, choose, describe
from tests.training.test_low_shot import BATCH, configuration, differing, fit, make, pictures

ON = {"weight": 1.0, "every": 8, "pool": 12}


def slow_choice(reals: Tensor, candidates: Tensor, reject: float) -> list[int]:
    """Each real row's nearest candidate, one pair after the other, in float64."""
    table = [[((r.double() - c.double()) ** 2).sum().sqrt().item() for c in candidates] for r in reals]
    own = [min(row[j] for row in table) for j in range(len(candidates))]
    limit = torch.tensor(own, dtype=torch.float64).quantile(reject).item()
    allowed = [j for j in range(len(candidates)) if reject == 0 or own[j] >= limit]
    return [min(allowed, key=lambda j: row[j]) for row in table]


def place(term, z, network, draw, images_seen, source):
    return term.placed(z, term.renewed(network, draw, images_seen, z.device), source)


@pytest.mark.parametrize("reject", [0.0, 0.25, 0.6])
def test_the_nearest_candidate_that_is_not_too_near(reject):
    reals, candidates = torch.randn(7, 5), torch.randn(20, 5)
    found = choose(reals, candidates, reject)
    assert found.tolist() == slow_choice(reals, candidates, reject)


def test_copies_are_rejected():
    reals = torch.randn(4, 6)
    candidates = torch.cat([reals, reals + 1, torch.randn(8, 6) + 9])
    assert choose(reals, candidates, 0.0).tolist() == [0, 1, 2, 3]
    assert not set(choose(reals, candidates, 0.3).tolist()) & {0, 1, 2, 3}


def test_descriptions_are_cells_of_unit_length_beside_the_small_picture():
    network, x = efficientnet_lite0(), to_float(pictures(3, 64))
    rows = describe(network, x)
    maps = network.features(x)[2]
    side = maps.shape[2] // 4
    expected = []
    for features, picture in zip(maps.double(), x.double(), strict=True):
        cells = torch.stack(
            [
                features[:, i * side : (i + 1) * side, j * side : (j + 1) * side].mean((1, 2))
                for i in range(4)
                for j in range(4)
            ],
            1,
        )
        cells = cells / cells.norm(dim=0) / 4
        small = picture.reshape(3, 8, 8, 8, 8).mean((2, 4)) / 8
        expected.append(torch.cat([cells.flatten(), small.flatten()]))
    torch.testing.assert_close(rows.double(), torch.stack(expected), atol=1e-6, rtol=1e-5)
    assert rows[:, : 40 * 16].norm(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)


def slow_pull(term: LikelihoodTerm, drawn: Tensor, index: Tensor) -> float:
    """The pull by its definition: positions' unit vectors at four strides, and squares of pixels; float64 sums."""
    total = 0.0
    for own, k in zip(drawn, index.tolist(), strict=False):
        target = to_float(term.pictures[k : k + 1])
        levels = zip(term.distance.network.features(own[None]), term.distance.network.features(target), strict=True)
        for a, b in levels:
            a, b = a[0].double(), b[0].double()
            a, b = a / a.norm(dim=0).clamp_min(1e-6), b / b.norm(dim=0).clamp_min(1e-6)
            total += 0.4 / 4 * (a - b).square().sum(0).mean().item()
        total += term.section.squared * (own.double() - target[0].double()).square().mean().item()
    return term.section.weight * total / len(index)


def test_the_pull_is_the_mean_distance_to_the_pictures_of_the_placed_latents():
    network = Generator(configuration().generator)
    term = LikelihoodTerm(LikelihoodSection(weight=0.7, pool=12, squared=0.3), 0)
    term.show(pictures(5))
    draw = make()._latents
    z, noise = draw(6, random_generator(0, "z"))
    placed = place(term, z, network, draw, 0, random_generator(0, "place"))
    index = torch.randint(5, (3,), generator=random_generator(0, "place"))
    drawn = network(placed, noise).big
    assert term.pull(drawn)["g_likelihood"].item() == pytest.approx(
        slow_pull(term, drawn[:3].detach(), index), rel=1e-4
    )


def test_a_share_of_the_batch_are_taken_latents_with_noise():
    network, draw = Generator(configuration().generator), make()._latents
    term = LikelihoodTerm(LikelihoodSection(**ON, noise=0.25), 0)
    term.show(pictures(5))
    z, _ = draw(8, random_generator(0, "z"))
    placed = place(term, z, network, draw, 0, random_generator(0, "place"))
    source = random_generator(0, "place")
    index = torch.randint(5, (4,), generator=source)
    expected = term.latents[index] + 0.25 * torch.randn(4, z.shape[1], generator=source)
    assert torch.equal(placed[:4], expected)
    assert torch.equal(placed[4:], z[4:])
    # Of a batch of two, half is one.
    assert torch.equal(place(term, z[:2], network, draw, 0, random_generator(0, "place"))[1], z[1])


@pytest.mark.parametrize(("count", "expected"), [(5, (12, 8)), (6, (12, 8)), (30, (60, 40))])
def test_every_picture_has_candidates_at_the_same_cost_of_an_image(count, expected):
    term = LikelihoodTerm(LikelihoodSection(**ON), 0)
    term.show(pictures(count))
    assert term.schedule() == expected


def test_latents_are_those_of_the_pool_whose_pictures_are_nearest():
    module = make(likelihood=ON)
    module.show(pictures(5))
    network, term = module.generator, module.likelihood
    before = copy.deepcopy(network.state_dict())
    term.assign(network, module._latents, 16, torch.device("cpu"))
    left = [key for key in differing(before, network.state_dict()) if "running" not in key and "num_batches" not in key]
    assert not left, "an assignment moved weights or power iterations"
    z, noise = module._latents(12, random_generator(0, "likelihood", 16))
    network.load_state_dict(before)
    with torch.no_grad():
        # The power iterations stand still while candidates are drawn.
        for part in network.modules():
            if hasattr(part, "parametrizations"):
                part.parametrizations.eval()
        rows = describe(term.distance.network, network(z, noise).big.clamp(-1, 1))
    chosen = slow_choice(describe(term.distance.network, to_float(term.pictures)), rows, 0.0)
    assert torch.equal(term.latents, z[chosen])


class Loud(nn.Module):
    """Draws far beyond what a picture can show, from the latent and from the noise alike."""

    def forward(self, z: Tensor, noise: list[Tensor]) -> Pictures:
        big = 3 * (z[:, :3, None, None] + noise[0])
        return Pictures(big, big)


def test_candidates_are_described_as_pictures_show_them(monkeypatch):
    """Clipped to both ends, and drawn with the noise of their own."""
    term = LikelihoodTerm(LikelihoodSection(**ON), 0)
    term.show(pictures(5))
    given: list[Tensor] = []
    monkeypatch.setattr(likelihood, "choose", lambda a, b, c: given.append(b) or choose(a, b, c))

    def draw(count: int, source: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        z = torch.randn(count, 16, generator=source)
        return z, [torch.randn(count, 3, 32, 32, generator=source)]

    term.assign(Loud(), draw, 16, torch.device("cpu"))
    z, noise = draw(12, random_generator(0, "likelihood", 16))
    drawn = Loud()(z, noise).big
    assert drawn.min() < -3
    assert drawn.max() > 3
    shown = torch.where(drawn > 1, torch.ones(()), torch.where(drawn < -1, -torch.ones(()), drawn))
    torch.testing.assert_close(given[0], describe(term.distance.network, shown), atol=1e-6, rtol=0)


def test_assignments_are_renewed_every_so_many_images():
    module = make(likelihood=ON)
    module.show(pictures(5))
    network, term, moments = module.generator, module.likelihood, []
    for seen in range(0, 24, 4):
        place(term, module._latents(4, random_generator(1))[0], network, module._latents, seen, random_generator(seen))
        moments.append(term.assigned_at)
    assert moments == [0, 0, 8, 8, 16, 16]


def test_the_generators_step_takes_both_terms():
    module = make(likelihood=ON)
    module.show(pictures())
    fit(module, 2)
    terms = module.read_terms()
    assert terms["g_likelihood"] > 0
    assert "g_adversarial" in terms
    assert "g_likelihood" not in set(make()._sums)


def test_pulling_brings_latents_to_their_pictures():
    # The squared error alone, at full weight, on one assignment: the generator must learn it.
    module = make(likelihood={**ON, "weight": 20.0, "every": 10_000, "share": 1.0}, optimiser={"generator_rate": 2e-3})
    module.show(pictures(4))
    fit(module, 2)
    first = module.read_terms()["g_likelihood"]
    fit(module, 25)
    assert module.read_terms()["g_likelihood"] < 0.9 * first


def test_checkpoint_resumes_bit_for_bit_with_the_term(tmp_path):
    def shown() -> object:
        module = make(likelihood={**ON, "every": 12, "pool": 2 * len(pictures())})
        module.show(pictures())
        return module

    fit(whole := shown(), 5)
    fit(first := shown(), 2).save_checkpoint(tmp_path / "last.ckpt")
    resumed = shown()
    fit(resumed, 5, checkpoint=tmp_path / "last.ckpt", images_seen=2 * BATCH)
    assert differing(whole.state_dict(), resumed.state_dict()) == []
    assert torch.equal(whole.likelihood.latents, resumed.likelihood.latents)
    assert not torch.equal(first.likelihood.latents, resumed.likelihood.latents)


def test_mirror_images_pull_as_if_they_were_pictures_of_their_own():
    """As the term was before it looked mirror images up: equal to the bit."""
    module, shown = make(likelihood=ON), pictures(5)
    pulls = []
    for given, mirror in ((shown, True), (torch.cat([shown, shown.flip(-1)]), False)):
        term = LikelihoodTerm(LikelihoodSection(**ON), 0)
        term.show(given, mirror=mirror)
        z, noise = module._latents(16, random_generator(0, "z"))
        network = copy.deepcopy(module.generator)
        placed = place(term, z, network, module._latents, 0, random_generator(0, "place"))
        assert {index >= 5 for index in term._chosen.tolist()} == {False, True}
        pulls.append((term.latents, placed, *term.pull(network(placed, noise).big).values()))
    assert len(pulls[0][0]) == 10
    assert all(torch.equal(one, other) for one, other in zip(*pulls, strict=True))


@pytest.mark.parametrize("mirror", [False, True])
def test_of_a_large_set_other_pictures_pull_after_each_assignment(mirror, monkeypatch):
    """What the term draws, describes and keeps follows from MOST, however many pictures there are."""
    monkeypatch.setattr(likelihood, "MOST", 3)
    module, shown = make(likelihood={**ON, "pool": 8}), pictures(40)
    term = module.likelihood
    module.show(shown, mirror=mirror)
    count = 6 if mirror else 3
    assert term.schedule() == ((12, 12) if mirror else (8, 8))
    drawn = []
    monkeypatch.setattr(likelihood, "choose", lambda a, b, c: drawn.append((len(a), len(b))) or choose(a, b, c))
    seen = []
    for moment in range(4):
        z, _ = module._latents(4, random_generator(moment, "z"))
        place(term, z, module.generator, module._latents, 100 * moment, random_generator(moment))
        found = term._pictures(torch.arange(count))
        # The pictures are some of the set, each once, and then their mirror images in the same order.
        places = [[k for k, one in enumerate(shown) if torch.equal(one, picture)] for picture in found[:3]]
        assert all(len(place) == 1 for place in places)
        seen.append(frozenset(place[0] for place in places))
        assert len(seen[-1]) == 3
        assert torch.equal(found[3:], found[:3].flip(-1) if mirror else found[3:])
        assert torch.equal(term._real_rows(z.device), describe(term.distance.network, to_float(found)))
        assert len(term.latents) == count
    assert drawn == [(count, 12 if mirror else 8)] * 4
    assert len(set(seen)) > 2
    # A term that goes on from a checkpoint looks at the same ones.
    other = LikelihoodTerm(term.section, 0)
    other.show(shown, mirror=mirror)
    other.restore(term.state())
    assert other.latents is term.latents
    assert torch.equal(other._pictures(torch.arange(count)), term._pictures(torch.arange(count)))


def test_without_pictures_a_step_is_refused():
    term = LikelihoodTerm(LikelihoodSection(**ON), 0)
    with pytest.raises(RuntimeError, match="show"):
        place(term, torch.zeros(4, 16), Generator(configuration().generator), make()._latents, 0, random_generator(0))


def test_latents_of_before_mirror_images_pulled_are_taken_anew_and_said(caplog):
    term = LikelihoodTerm(LikelihoodSection(weight=1.0, pool=12, every=1000), seed=3)
    shown = pictures(2, 64)
    term.show(torch.cat([shown, shown.flip(-1)]))
    term.restore({"latents": torch.zeros(2, 16), "assigned_at": 8})
    assert caplog.messages == [
        "the checkpoint holds latents of 2 pictures, and 4 pull here, mirror images among them; all take theirs anew"
    ]
    network, draw = Generator(configuration().generator), make()._latents
    place(term, draw(4, random_generator(0))[0], network, draw, 16, random_generator(0, "place"))
    assert (len(term.latents), term.assigned_at) == (4, 16)
    # As many as there are pictures are kept.
    kept = torch.ones(4, 16)
    term.restore({"latents": kept, "assigned_at": 8})
    assert term.latents is kept
