"""Metrics of generators that learn from one picture: how near, how varied, and how much is copied.

SIFID (Shaham and others, SinGAN, 2019) has two incompatible definitions in circulation, so there are two names:
`sifid64` on the 64 channels before Inception's first pooling, which most code computes, and `sifid192` on the 192
channels before the second, which the paper's text describes. `sifd_efflite0` is the same distance on the early features
of EfficientNet-Lite0 and needs no download. A copy scores 0 in all three: read them beside diversity and the distance
to the training picture, never alone.

Patch-SWD and the copy rate need no network. All work on uint8 pictures [3, H, W] at their own size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sase_gan.features.efficientnet_lite0 import EfficientNetLite0
from sase_gan.features.reconstruction import PerceptualDistance
from sase_gan.metrics.book import NotApplicable
from sase_gan.metrics.catalogue import COPY_RATE_LIMIT
from sase_gan.metrics.diversity import grey_deviation
from sase_gan.metrics.patches import sort_rows
from sase_gan.pixels import to_float
from sase_gan.seeds import generator

SifidVariant = Literal["sifid64", "sifid192"]
InceptionSource = Literal["fidelity", "torchvision"]

# One position a sample: with fewer positions than channels the covariance is singular.
SMALLEST_FULL_RANK = {"sifid64": 23, "sifid192": 71}
_SWD_KERNELS = 128
_SWD_PATCH = 7
_COPY_SIDE = 64
_COPY_PATCH = 7
_SHIFT_SHARE = 0.05

_BEFORE_FIRST_POOL = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
_BEFORE_SECOND_POOL = ("Conv2d_3b_1x1", "Conv2d_4a_3x3")
# torchvision's names of the same layers are the same but for the pooling.
_FIRST_POOL = {"fidelity": "MaxPool_1", "torchvision": "maxpool1"}


def position_frechet(fake: Tensor, real: Tensor) -> float:
    """Frechet distance of two feature maps [C, H, W], each position a sample; float64, negative eigenvalues clipped.

    tr((S1 S2)^(1/2)) = sum of the roots of the eigenvalues of S1^(1/2) S2 S1^(1/2); covariances with N - 1.

    Raises:
        NotApplicable: a map of one position.
    """
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(m) for m in (fake, real))
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    trace = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * trace
    return max(distance.item(), 0.0)


def _moments(feature_map: Tensor) -> tuple[Tensor, Tensor]:
    rows = feature_map.detach().cpu().double().flatten(1).T
    if len(rows) < 2:
        raise NotApplicable(f"A feature map of {len(rows)} position has no covariance; the picture is too small.")
    mean = rows.mean(0)
    centred = rows - mean
    return mean, centred.T @ centred / (len(rows) - 1)


def sifd_efflite0(fakes: Sequence[Tensor], real: Tensor, network: EfficientNetLite0) -> Tensor:
    """Measure each fake's distance to the real in EfficientNet-Lite0's second stage at its size, 24 channels: [N]."""
    return _per_fake(fakes, real, lambda image: network.early(image[None])[0])


def sifid(
    fakes: Sequence[Tensor],
    real: Tensor,
    network: nn.Module,
    variant: SifidVariant = "sifid64",
    source: InceptionSource = "fidelity",
) -> Tensor:
    """Measure the SIFID of each fake: [N].

    Args:
        fakes: uint8 [3, H, W] each.
        real: uint8 [3, H, W].
        network: Inception v3, torch-fidelity's or torchvision's.
        variant: see the module.
        source: whose network it is, which decides the preprocessing, (x - 128) / 128 or 2 x / 255 - 1. Published tables
            use torchvision's weights.
    """
    stages = [getattr(network, name) for name in _BEFORE_FIRST_POOL]
    if variant == "sifid192":
        stages.append(getattr(network, _FIRST_POOL[source]))
        stages += [getattr(network, name) for name in _BEFORE_SECOND_POOL]

    def describe(image: Tensor) -> Tensor:
        x = image[None].float()
        x = (x - 128) / 128 if source == "fidelity" else 2 * (x / 255) - 1
        for stage in stages:
            x = stage(x)
        return x[0]

    return _per_fake(fakes, real, describe)


def size_warning(variant: str, height: int, width: int) -> str | None:
    """A sentence when a picture is too small for a covariance of full rank in this variant, else None."""
    least = SMALLEST_FULL_RANK[variant]
    if min(height, width) >= least:
        return None
    return f"{variant} needs {least} px a side for a covariance of full rank; this picture has {width} x {height}."


def _per_fake(fakes: Sequence[Tensor], real: Tensor, describe: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.inference_mode():
        target = describe(real)
        values = [position_frechet(describe(fake), target) for fake in fakes]
    return torch.tensor(values, dtype=torch.float64)


def patch_swd(fake: Tensor, real: Tensor) -> float:
    """Patch-SWD of two pictures: distance of sorted responses to random 7 x 7 kernels, mean over three scales.

    Scales 1, 1/2 and 1/4 (bicubic with antialiasing) of the pictures in [-1, 1]; 128 unit-length Gaussian kernels a
    scale; pictures of unlike size are compared by interpolating the sorted lists. 0 for equal pictures; 0.26 between
    two unlike scenes of Places at 128 px.

    Raises:
        NotApplicable: a short side under 28 px, which leaves no patch at the coarsest scale.
    """
    return patch_swds([fake], real)[0].item()


def patch_swds(fakes: Sequence[Tensor], real: Tensor) -> Tensor:
    """Measure `patch_swd` of each fake [N], float64; the real is described once.

    Raises:
        NotApplicable: a short side under 28 px.
    """
    if min(side for image in (*fakes, real) for side in image.shape[-2:]) < 4 * _SWD_PATCH:
        raise NotApplicable(f"Patch-SWD needs pictures of at least {4 * _SWD_PATCH} px a side.")
    target = _responses(real)
    described = (zip(_responses(fake), target, strict=True) for fake in fakes)
    values = [[_quantile_distance(x, y).item() for x, y in scales] for scales in described]
    return torch.tensor(values, dtype=torch.float64).mean(1)


def _responses(image: Tensor) -> list[Tensor]:
    """For each scale [kernels, places], sorted along the places."""
    out = []
    for scale in (1, 2, 4):
        kernels = torch.randn(_SWD_KERNELS, 3, _SWD_PATCH, _SWD_PATCH, generator=generator(0, "patch-swd", scale))
        kernels = kernels / kernels.flatten(1).norm(dim=1)[:, None, None, None]
        x = to_float(image)[None].cpu()
        if scale > 1:
            size = [max(_SWD_PATCH, side // scale) for side in image.shape[-2:]]
            x = F.interpolate(x, size=size, mode="bicubic", antialias=True)
        out.append(sort_rows(F.conv2d(x, kernels).flatten(2)[0]))
    return out


def _quantile_distance(x: Tensor, y: Tensor) -> Tensor:
    if x.shape == y.shape:
        return (x - y).abs().mean()
    n = max(x.shape[1], y.shape[1])
    x, y = (F.interpolate(z[None], size=n, mode="linear", align_corners=True)[0] for z in (x, y))
    return (x - y).abs().mean()


@dataclass(frozen=True)
class CopyRate:
    """How much of a picture is taken from the training picture in one piece.

    Attributes:
        rate: share of neighbouring patches that come from neighbouring places, 0..1; the larger of plain and mirrored.
        mirrored: whether the mirrored picture gave it.
        displacement: int64 [2, rows, columns], for each patch of the fake how far down and right its source lies.
    """

    rate: float
    mirrored: bool
    displacement: Tensor

    @property
    def copied(self) -> bool:
        """Whether the rate reaches the limit: see the anchors in `copy_rate`."""
        return self.rate >= COPY_RATE_LIMIT


def copy_rate(fake: Tensor, real: Tensor) -> CopyRate:
    """Share of adjacent patch pairs of the fake whose nearest patches in the real are displaced alike.

    Both are reduced to a short side of 64 px; every 7 x 7 patch finds its exact nearest patch by Euclidean distance.
    Anchors on 25 scenes of Places: compressed copy 1.00, shifted copy 0.90, samples of SinGAN 0.43 (up to 0.64),
    another scene 0.18. Blind to copies put together from a few large pieces: look at the displacement.
    """
    source, target = _copy_size(fake), _copy_size(real)
    plain, mirror = _displacements(source, target), _displacements(source, target.flip(-1))
    rates = [_agreement(d) for d in (plain, mirror)]
    mirrored = rates[1] > rates[0]
    return CopyRate(max(rates), mirrored, mirror if mirrored else plain)


def _copy_size(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    factor = _COPY_SIDE / min(height, width)
    size = [max(_COPY_PATCH, round(side * factor)) for side in (height, width)]
    return F.interpolate(to_float(image)[None], size=size, mode="bicubic", antialias=True)


def _displacements(fake: Tensor, real: Tensor) -> Tensor:
    a, b = (F.unfold(image, _COPY_PATCH)[0].T for image in (fake, real))
    rows, columns = (side - _COPY_PATCH + 1 for side in fake.shape[-2:])
    real_columns = real.shape[-1] - _COPY_PATCH + 1
    lengths = b.square().sum(1)
    # |a - b|^2 less the |a|^2 that no choice of b changes; blocks that stay in the processor's cache.
    nearest = torch.cat([torch.addmm(lengths, block, b.T, alpha=-2).argmin(1) for block in a.split(256)])
    place = torch.arange(rows * columns)
    if fake.shape == real.shape:
        # In flat areas many patches are equally near; the one at the same place is then the natural source.
        same, best = (a - b).square().sum(1), (a - b[nearest]).square().sum(1)
        nearest = torch.where(same <= best + 1e-6, place, nearest)
    down = nearest // real_columns - place // columns
    right = nearest % real_columns - place % columns
    return torch.stack([down, right]).view(2, rows, columns)


def _agreement(displacement: Tensor) -> float:
    across = (displacement[:, :, 1:] == displacement[:, :, :-1]).all(0)
    down = (displacement[:, 1:] == displacement[:, :-1]).all(0)
    return ((across.sum() + down.sum()) / (across.numel() + down.numel())).item()


def pixel_differences(fakes: Tensor, real: Tensor) -> Tensor:
    """How much each fake differs from the training picture, on the scale of pixel diversity: [N], float64.

    Two normal draws of deviation s differ by 2 s / sqrt(pi) on average. So this is the pixel diversity that there would
    be if fakes lay about the training picture as they lie about each other; it needs one fake only.

        mean |grey(fake) - grey(real)| * sqrt(pi) / 2 / deviation of grey(real)

    Args:
        fakes: uint8 [N, 3, H, W].
        real: uint8 [3, H, W].

    Raises:
        NotApplicable: a real of one grey level.
    """
    scale = grey_deviation(real)
    steps = fakes.double().mean(1) - real.double().mean(0)
    return steps.abs().mean((1, 2)) * (math.sqrt(math.pi) / 2) / scale


def distances_to_train(fakes: Sequence[Tensor], real: Tensor, network: PerceptualDistance) -> Tensor:
    """Smallest perceptual distance of each fake to the real, its mirror image, and shifts of both by 5 % of the sides.

    Args:
        fakes: uint8 [3, H, W] each.
        real: uint8 [3, H, W], the same size.
        network: the pictures go to its device.

    Returns:
        float64 [N].
    """
    with torch.inference_mode():
        views = [_embed(view, network) for view in _variants(to_float(real)[None])]
        rows = (_embed(to_float(fake), network) for fake in fakes)
        values = [min(_squared_distance(own, view) for view in views) for own in rows]
    return torch.tensor(values, dtype=torch.float64)


def pair_distances(fakes: Sequence[Tensor], pairs: Tensor, network: PerceptualDistance) -> Tensor:
    """Measure the perceptual distance of pairs [P, 2] of fakes uint8 [3, H, W], each described once: float64 [P]."""
    with torch.inference_mode():
        rows = {index: _embed(to_float(fakes[index]), network) for index in pairs.unique().tolist()}
        values = [_squared_distance(rows[first], rows[second]) for first, second in pairs.tolist()]
    return torch.tensor(values, dtype=torch.float64)


def _embed(image: Tensor, network: PerceptualDistance) -> Tensor:
    """A picture in [-1, 1] as a row, on the CPU; squared distances of rows are the network's distance."""
    device = next(network.parameters()).device
    return network.embed(image[None].to(device))[0].cpu()


def _squared_distance(a: Tensor, b: Tensor) -> float:
    return (a - b).square().sum().item()


def _variants(real: Tensor) -> Tensor:
    height, width = real.shape[-2:]
    down, right = (max(1, round(_SHIFT_SHARE * side)) for side in (height, width))
    padded = F.pad(real, (right, right, down, down), mode="replicate")
    views = [
        padded[..., down + y : down + y + height, right + x : right + x + width]
        for y, x in ((0, 0), (down, 0), (-down, 0), (0, right), (0, -right))
    ]
    both = torch.cat(views)
    return torch.cat([both, torch.cat([view.flip(-1) for view in views])])
