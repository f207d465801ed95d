"""Losses: tensors in, named terms out; the training module weights, sums and logs them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Terms = dict[str, Tensor]


def random_margins(logits: Tensor, *, generator: torch.Generator) -> Tensor:
    """Draw a margin in [0.8, 1) for each logit: FastGAN's softened hinge, arXiv 2101.04775."""
    return 0.8 + 0.2 * torch.rand(logits.shape, generator=generator, device=logits.device)


def discriminator_hinge(real_logits: Tensor, fake_logits: Tensor, real_margin: Tensor, fake_margin: Tensor) -> Terms:
    """Take the hinge loss: `mean relu(m - D(x))` and `mean relu(m + D(G(z)))`, in float32."""
    return {
        "d_real": F.relu(real_margin - real_logits.float()).mean(),
        "d_fake": F.relu(fake_margin + fake_logits.float()).mean(),
    }


def generator_loss(fake_logits: Tensor) -> Terms:
    """Take `-mean D(G(z))`, in float32."""
    return {"g_adversarial": -fake_logits.float().mean()}


def lecam(real_logits: Tensor, fake_logits: Tensor, real_average: Tensor, fake_average: Tensor) -> Terms:
    """Hold each side's logits near the other side's running average: LeCam, Tseng et al. 2021, arXiv 2104.03310.

    `mean relu(D(x) - average(D(G(z))))^2 + mean relu(average(D(x)) - D(G(z)))^2`: only what exceeds the other side's
    average is punished, which keeps the discriminator from separating a handful of pictures completely.
    """
    real = F.relu(real_logits.float() - fake_average).square().mean()
    fake = F.relu(real_average - fake_logits.float()).square().mean()
    return {"d_lecam": real + fake}


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Take R1, Mescheder et al. 2018, arXiv 1801.04406: mean squared norm of the mean logit's gradient by picture."""
    (gradient,) = torch.autograd.grad(logits.float().mean(1).sum(), images, create_graph=True)
    return gradient.float().square().sum((1, 2, 3)).mean()


def wasserstein(real_logits: Tensor, fake_logits: Tensor) -> Terms:
    """Take `-mean D(x)` and `mean D(G(z))`, in float32: Arjovsky et al. 2017, arXiv 1701.07875."""
    return {"d_real": -real_logits.float().mean(), "d_fake": fake_logits.float().mean()}


def pixel_gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """Take `mean (|g| - 1)^2` at `mix * real + (1 - mix) * fake`, |g| over the three channels of every pixel.

    The penalty of SinGAN (arXiv 1905.01164), which differs from that of Gulrajani et al. 2017 (arXiv 1704.00028): there
    the norm is over the whole picture. The gradient is that of the summed scores; `mix` in [0, 1] is broadcast.
    """
    # In the real picture's type: what a network draws under autocast has a narrower one.
    between = torch.lerp(fake.detach().to(real.dtype), real, mix).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).float().sum(), between, create_graph=True)
    # Under the root, so that a pixel without gradient has one of zero, not an undefined one.
    length = (gradient.float().square().sum(1) + 1e-12).sqrt()
    return (length - 1).square().mean()


def sliced_patch_distance(fake: Tensor, real: Tensor, *, generator: torch.Generator) -> Tensor:
    """Measure how differently the 7x7 patches of two pictures are distributed: mean |difference| of sorted projections.

    Each of 64 random unit directions maps every patch to a number; sorted, the numbers of both pictures are two
    ways of writing a one-dimensional distribution, and their mean distance is exactly Wasserstein's. It needs no
    training: Elnekave and Weiss, "Generating natural images with direct patch distribution matching", 2022, arXiv
    2203.11862, there minimised over pixels instead of weights.
    """
    kernels = torch.randn(64, fake.shape[1], 7, 7, generator=generator, device=fake.device, dtype=fake.dtype)
    kernels = kernels / kernels.flatten(1).norm(dim=1)[:, None, None, None]
    sorted_fake, sorted_real = (F.conv2d(x, kernels).flatten(2).sort(2).values for x in (fake, real))
    return (sorted_fake - sorted_real).abs().mean()
