"""Reconstruction losses say how far a decoder's picture lies from the one that it should show."""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sase_gan.errors import UsageError
from sase_gan.features.efficientnet_lite0 import EfficientNetLite0
from sase_gan.features.frozen import FrozenModule
from sase_gan.features.lpips import LpipsNet, LpipsNetwork

ReconstructionKind = Literal["l1", "efflite0", "lpips-vgg", "lpips-squeeze"]

# With this factor the distance of two unlike photographs lies near LPIPS's usual 0.6-0.7; see `EfficientNetLite0Loss`.
_SCALE = 0.4


class L1Loss(FrozenModule):
    """The mean absolute difference tells pictures in [-1, 1] apart pixel by pixel."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return one value a pair, [B], from two [B, 3, H, W]."""
        return (pred - target).abs().flatten(1).mean(1)


class EfficientNetLite0Loss(FrozenModule):
    """The feature distance tells pictures apart by four levels of EfficientNet-Lite0.

    d(a, b) = s * mean over levels l of mean over positions p of |u_l(a)_p - u_l(b)_p|^2, where u is the map at level l
    with each position's channels scaled to unit length; the levels are strides 2, 4, 8 and 16. This is LPIPS's form
    (Zhang and others 2018, equation 1) with equal weights for channels and levels, as no weights fitted to people's
    judgements exist for this network. s = 0.4 gives it LPIPS's order of magnitude. Measured on photographs at 128 px:
    JPEG quality 75 0.06, quality 20 0.18, blur of 1 px 0.09, of 4 px 0.36, another picture of the set 0.66, another
    motif 0.74.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite0()
        self.freeze()

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return one value a pair, [B], from two float [B, 3, H, W] in [-1, 1]; gradients reach both."""
        total = pred.new_zeros(pred.shape[0], dtype=torch.float32)
        maps, others = self.network.features(pred), self.network.features(target)
        for a, b in zip(maps, others, strict=True):
            difference = F.normalize(a, dim=1, eps=1e-6) - F.normalize(b, dim=1, eps=1e-6)
            total = total + difference.square().sum(1).mean((1, 2))
        return total * (_SCALE / len(maps))

    def embed(self, x: Tensor) -> Tensor:
        """Describe pictures by rows [B, D] whose squared distances are this distance, so that many can be compared."""
        maps = self.network.features(x)
        scale = _SCALE / len(maps)
        rows = [F.normalize(m, dim=1, eps=1e-6).flatten(1) * (scale / m[0, 0].numel()) ** 0.5 for m in maps]
        return torch.cat(rows, dim=1)


PerceptualDistance = LpipsNetwork | EfficientNetLite0Loss
"""Distances of pairs that are also squared distances of rows, see `embed`."""


def reconstruction_loss(
    kind: ReconstructionKind, *, weights_dir: Path | str | None = None, untrained: bool = False
) -> nn.Module:
    """Build a frozen module `loss(pred, target) -> [B]` over float pictures [B, 3, S, S] in [-1, 1].

    Hold it outside a LightningModule's registered children: its weights are no part of a checkpoint.

    Args:
        kind: "l1"; "efflite0", which needs nothing; "lpips-vgg" and "lpips-squeeze", which need their backbones' files.
        weights_dir: searched first for such a file.
        untrained: a random LPIPS backbone instead of the file.

    Raises:
        UsageError: an unknown kind, or `untrained` with a kind that it has no effect on.
        WeightsError: a file is missing or damaged.
    """
    if kind in ("lpips-vgg", "lpips-squeeze"):
        net: LpipsNet = "vgg" if kind == "lpips-vgg" else "squeeze"
        return LpipsNetwork(net, weights_dir, untrained=untrained)
    if untrained:
        raise UsageError(f"untrained=True has no effect on the reconstruction loss {kind!r}; leave it out.")
    if kind == "l1":
        return L1Loss().freeze()
    if kind == "efflite0":
        return EfficientNetLite0Loss()
    raise UsageError(
        f"There is no reconstruction loss {kind!r}; the known ones are l1, efflite0, lpips-vgg and lpips-squeeze."
    )
