import pytest
import torch
import torch.nn.functional as F

from sase_gan.training import losses


def test_margins_are_uniform_between_four_fifths_and_one():
    margins = losses.random_margins(torch.zeros(400, 50), generator=torch.Generator().manual_seed(0))
    assert margins.min() >= 0.8
    assert margins.max() < 1
    # Uniform: mean 0.9, spread 0.2 / sqrt(12); 20,000 draws.
    assert margins.mean().item() == pytest.approx(0.9, abs=0.002)
    assert margins.std().item() == pytest.approx(0.2 / 12**0.5, abs=0.002)
    again = losses.random_margins(torch.zeros(400, 50), generator=torch.Generator().manual_seed(0))
    assert torch.equal(margins, again)


def test_hinge_by_hand():
    real, fake = torch.tensor([[2.0, 0.5], [-1.0, 0.9]]), torch.tensor([[-2.0, -0.5], [1.0, 0.0]])
    real_margin, fake_margin = torch.full((2, 2), 0.9), torch.tensor([[0.8, 1.0], [0.9, 0.85]])
    terms = losses.discriminator_hinge(real, fake, real_margin, fake_margin)
    # real: relu(0.9 - x) = 0, 0.4, 1.9, 0; fake: relu(m + x) = 0, 0.5, 1.9, 0.85
    assert terms["d_real"].item() == pytest.approx((0.4 + 1.9) / 4)
    assert terms["d_fake"].item() == pytest.approx((0.5 + 1.9 + 0.85) / 4)
    assert set(terms) == {"d_real", "d_fake"}


def test_hinge_gradient_stops_beyond_the_margin():
    real = torch.tensor([0.5, 2.0], requires_grad=True)
    fake = torch.tensor([-2.0, 0.5], requires_grad=True)
    margin = torch.full((2,), 0.9)
    torch.stack(list(losses.discriminator_hinge(real, fake, margin, margin).values())).sum().backward()
    assert real.grad.tolist() == [-0.5, 0.0]
    assert fake.grad.tolist() == [0.0, 0.5]


def test_generators_loss_is_minus_the_mean():
    fake = torch.tensor([1.0, -3.0], requires_grad=True)
    loss = losses.generator_loss(fake)["g_adversarial"]
    loss.backward()
    assert loss.item() == 1
    assert fake.grad.tolist() == [-0.5, -0.5]


def test_lecam_by_hand():
    real, fake = torch.tensor([1.5, -0.5, 0.25]), torch.tensor([-2.0, 0.75])
    real_average, fake_average = torch.tensor(0.5), torch.tensor(-0.25)
    term = losses.lecam(real, fake, real_average, fake_average)["d_lecam"]
    # relu(D(x) + 0.25)^2 = 1.75^2, 0, 0.5^2; relu(0.5 - D(G(z)))^2 = 2.5^2, 0
    assert term.item() == pytest.approx((1.75**2 + 0.5**2) / 3 + 2.5**2 / 2)


def test_lecam_vanishes_for_a_discriminator_that_does_not_separate():
    logits = torch.full((4, 5), 0.3)
    assert losses.lecam(logits, logits, torch.tensor(0.3), torch.tensor(0.3))["d_lecam"].item() == 0


def test_penalty_of_a_linear_discriminator_is_its_squared_weight():
    weight = torch.randn(3, 4, 4, dtype=torch.float64)
    images = torch.randn(5, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    # Two patches that see w and 3w: the mean logit has the gradient 2w.
    score = (images * weight).sum((1, 2, 3))
    penalty = losses.gradient_penalty(torch.stack([score, 3 * score], dim=1), images)
    assert penalty.item() == pytest.approx((2 * weight).square().sum().item(), rel=1e-6)


def test_penalty_is_differentiable_in_the_weights():
    # D(x) = a |x|^2 / 2 has the gradient a x: the penalty is a^2 |x|^2, its derivative 2 a |x|^2.
    a = torch.tensor(1.5, requires_grad=True)
    images = torch.randn(4, 3, 2, 2, requires_grad=True)
    penalty = losses.gradient_penalty((a * images.square().sum((1, 2, 3)) / 2)[:, None], images)
    penalty.backward()
    squared = images.detach().square().sum((1, 2, 3)).mean().item()
    assert penalty.item() == pytest.approx(1.5**2 * squared, rel=1e-5)
    assert a.grad.item() == pytest.approx(2 * 1.5 * squared, rel=1e-5)


def test_half_precision_logits_are_summed_in_float32():
    logits = torch.full((8, 50), 0.1).bfloat16()
    terms = losses.discriminator_hinge(logits, logits, torch.full((8, 50), 0.9), torch.full((8, 50), 0.9))
    terms |= losses.generator_loss(logits) | losses.lecam(logits, logits, torch.zeros(()), torch.zeros(()))
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert terms["g_adversarial"].item() == pytest.approx(-torch.tensor(0.1).bfloat16().item(), rel=1e-5)


def test_wasserstein_by_hand():
    terms = losses.wasserstein(torch.tensor([1.0, 3.0]).bfloat16(), torch.tensor([-2.0, 1.0]).bfloat16())
    assert {name: term.item() for name, term in terms.items()} == {"d_real": -2.0, "d_fake": -0.5}
    assert all(term.dtype == torch.float32 for term in terms.values())


def test_pixel_penalty_is_taken_between_both_pictures_over_the_channels_of_each_pixel():
    # D(x) = a |x|^2 / 2 has the gradient a x.
    a = torch.tensor(2.0, requires_grad=True)
    real, fake = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5, requires_grad=True)
    mix = torch.tensor(0.25)
    penalty = losses.pixel_gradient_penalty(lambda x: a * x.square().flatten(1).sum(1) / 2, real, fake, mix)
    between = 0.25 * real + 0.75 * fake.detach()
    length = between.square().sum(1).sqrt()
    assert penalty.item() == pytest.approx((2 * length - 1).square().mean().item(), rel=1e-5)
    penalty.backward()
    assert a.grad.item() == pytest.approx((2 * (2 * length - 1) * length).mean().item(), rel=1e-5)
    assert fake.grad is None


def test_pixel_penalty_of_a_pixel_without_gradient_has_a_gradient_of_zero():
    weight = torch.zeros(3, requires_grad=True)
    penalty = losses.pixel_gradient_penalty(
        lambda x: (x * weight[:, None, None]).sum((1, 2, 3)),
        torch.ones(1, 3, 2, 2),
        torch.ones(1, 3, 2, 2),
        torch.rand(()),
    )
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    penalty.backward()
    assert weight.grad.tolist() == [0, 0, 0]


def test_sliced_distance_compares_sorted_projections_of_all_patches():
    fake, real = torch.randn(2, 3, 9, 10, dtype=torch.float64), torch.randn(2, 3, 9, 10, dtype=torch.float64)
    found = losses.sliced_patch_distance(fake, real, generator=torch.Generator().manual_seed(5))
    directions = torch.randn(64, 3, 7, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    distances = []
    for direction in directions:
        unit = (direction / direction.square().sum().sqrt()).flatten()
        for one, other in zip(fake, real, strict=True):
            sides = [sorted((unit @ F.unfold(x[None], 7)[0]).tolist()) for x in (one, other)]
            distances += [abs(a - b) for a, b in zip(*sides, strict=True)]
    assert found.item() == pytest.approx(sum(distances) / len(distances), rel=1e-9)
    # It is blind to where patches are, and sees what they are.
    assert losses.sliced_patch_distance(fake, fake.clone(), generator=torch.Generator().manual_seed(5)).item() == 0
