"""LPIPS measures how unlike two pictures look to people.

Zhang and others, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), version 0.1; the
package lpips brings the linear heads, the backbone's weights are a file of `weights`.
"""

import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights
from sase_gan.features.frozen import FrozenModule, own_random_state

LpipsNet = Literal["alex", "squeeze", "vgg"]

_SMALLEST = {"alex": 32, "squeeze": 32, "vgg": 16}


class LpipsNetwork(FrozenModule):
    """LPIPS (version 0.1) gives the perceptual distance of two pictures.

    Args:
        net: backbone.
        weights_dir: where its file is looked for first.
        untrained: random backbone under the published linear heads. A number from it is not LPIPS and `label` says so.

    Raises:
        UsageError: an unknown backbone.
        WeightsError: the backbone's file is missing or damaged.
    """

    network: Any

    def __init__(self, net: LpipsNet, weights_dir: Path | str | None = None, *, untrained: bool = False) -> None:
        super().__init__()
        if net not in _SMALLEST:
            raise UsageError(f"LPIPS has no backbone {net!r}; the known ones are {', '.join(_SMALLEST)}.")
        # The file first: a missing one is told before anything is built.
        state = None if untrained else weights.load_state_dict(f"lpips-{net}", weights_dir)
        import lpips

        with own_random_state(), warnings.catch_warnings():
            # torchvision warns about the way in which lpips asks it for an empty backbone.
            warnings.simplefilter("ignore")
            self.network = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
        if state is not None:
            _load_backbone(self.network.net, state, net)
        self.net = net
        self.label = "untrained backbone, not LPIPS" if untrained else f"LPIPS ({net}, v0.1)"
        self.freeze()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Measure the distance of each pair of float [B, 3, H, W] in [-1, 1], at least 32 px a side (16 with vgg).

        Returns:
            [B]; 0 for equal pictures, about 0.1 for a light disturbance, 0.6-0.7 for unlike photographs.

        Raises:
            ValueError: pictures that are not float, or too small for the backbone.
        """
        self._check(a)
        self._check(b)
        return self.network(a, b).flatten()

    def embed(self, x: Tensor) -> Tensor:
        """Describe pictures by rows [B, D] whose squared distances are LPIPS, so that many can be compared.

        LPIPS is a sum over levels of the mean over positions of weighted squared differences of unit-length channels;
        its weights are not negative. Rows are as long as all maps together: 0.4 million numbers at 256 px.

        Raises:
            ValueError: pictures that are not float, or too small for the backbone.
        """
        self._check(x)
        rows = []
        for level, maps in enumerate(self.network.net(self.network.scaling_layer(x))):
            weight = self.network.lins[level].model[-1].weight
            unit = maps / (maps.square().sum(1, keepdim=True).sqrt() + 1e-10)
            rows.append((unit * (weight / maps[0, 0].numel()).sqrt()).flatten(1))
        return torch.cat(rows, dim=1)

    def _check(self, images: Tensor) -> None:
        if not images.is_floating_point():
            raise ValueError(f"LPIPS takes float images in [-1, 1]; {images.dtype} was given: use pixels.to_float.")
        if min(images.shape[-2:]) < _SMALLEST[self.net]:
            raise ValueError(
                f"LPIPS ({self.net}) needs pictures of at least {_SMALLEST[self.net]} px a side; "
                f"{images.shape[-1]} x {images.shape[-2]} was given."
            )


def _load_backbone(backbone: nn.Module, state: dict[str, Tensor], net: str) -> None:
    """Load torchvision's `features.*` tensors strictly into the slices of lpips, whose children keep those numbers."""
    wanted = backbone.state_dict()
    found = {}
    for key in wanted:
        source = "features." + re.sub(r"^slice\d+\.", "", key)
        if source not in state:
            raise WeightsError(f"The weights file for LPIPS ({net}) has no tensor {source}; it is another network's.")
        found[key] = state[source]
    backbone.load_state_dict(found, strict=True)


@lru_cache(maxsize=4)
def _lpips_network(net: LpipsNet, weights_dir: str | None, device: str) -> LpipsNetwork:
    return LpipsNetwork(net, weights_dir).to(device)


def lpips_network(
    net: LpipsNet, weights_dir: Path | str | None = None, *, device: torch.device | str = "cpu"
) -> LpipsNetwork:
    """Return the LPIPS network of this process with these properties, built at the first call; see `LpipsNetwork`."""
    return _lpips_network(net, None if weights_dir is None else str(weights_dir), str(torch.device(device)))
