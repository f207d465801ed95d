"""Spectral normalisation, of a whole weight or of each group of a grouped convolution.

Miyato et al. 2018, arXiv 1802.05957. A whole weight is left to torch's parametrisation. A grouped convolution stacks
the weights of several independent maps; one norm over the stack would couple them and change the function, so each
group has its own power iteration, batched.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from sase_gan.layers.statistics import without_autocast

EPS = 1e-12
ModuleType = TypeVar("ModuleType", bound=nn.Module)


def spectral_norm(module: ModuleType, *, groups: int = 1, dim: int = 0) -> ModuleType:
    """Divide `module.weight` by its largest singular value, per group of output channels.

    Initialise the weight before: afterwards `weight` is computed, and writing to it is lost.

    Args:
        groups: the first axis of the weight is split into so many independent matrices.
        dim: the axis that gives the rows of the matrix, when there are no groups.
    """
    if groups == 1:
        parametrizations.spectral_norm(module, dim=dim)
    else:
        weight = module.weight
        assert isinstance(weight, Tensor)
        parametrize.register_parametrization(module, "weight", GroupedSpectralNorm(weight, groups))
    return module


class GroupedSpectralNorm(nn.Module):
    """Compute `weight[g] / sigma(weight[g])` for each group g, sigma by one power iteration a training forward.

    The weight is `[out_channels, ...]`; its initial value starts the iteration with 15 steps, as torch's does.
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor, groups: int) -> None:
        super().__init__()
        if weight.shape[0] % groups:
            raise ValueError(f"groups is {groups}; it must divide the {weight.shape[0]} output channels")
        self.groups = groups
        matrix = self._matrix(weight.detach())
        self.register_buffer("left", F.normalize(torch.randn_like(matrix[:, :, 0]), dim=1, eps=EPS))
        self.register_buffer("right", F.normalize(torch.randn_like(matrix[:, 0, :]), dim=1, eps=EPS))
        self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.reshape(self.groups, weight.shape[0] // self.groups, -1)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, steps: int) -> None:
        for _ in range(steps):
            self.right.copy_(F.normalize(torch.einsum("gor,go->gr", matrix, self.left), dim=1, eps=EPS))
            self.left.copy_(F.normalize(torch.einsum("gor,gr->go", matrix, self.right), dim=1, eps=EPS))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised weight, of the same shape; differentiable in `weight`."""
        with without_autocast(weight):
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix.detach(), 1)
            # Copies, because the next forward changes the vectors in place before this graph's backward pass.
            sigma = torch.einsum("go,gor,gr->g", self.left.clone(), matrix, self.right.clone())
            return (matrix / sigma[:, None, None]).reshape(weight.shape)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what is stored when the weight is assigned: the value itself."""
        return weight


@contextmanager
def frozen_power_iteration(network: nn.Module) -> Iterator[None]:
    """Keep the singular vectors of all spectral norms of `network` as they are within the block.

    The weights stay differentiable. Used where a network is called a second time within one step, and where a copy
    in training mode only gathers batch statistics.
    """
    modules: list[Any] = [m for m in network.modules() if parametrize.is_parametrized(m, "weight")]
    norms = [parametrization for module in modules for parametrization in module.parametrizations["weight"]]
    before = [norm.training for norm in norms]
    for norm in norms:
        norm.training = False
    try:
        yield
    finally:
        for norm, training in zip(norms, before, strict=True):
            norm.training = training


def fold_spectral_norm(network: nn.Module) -> None:
    """Replace every parametrised weight of `network` by its present value, in place.

    Not for a deep copy of a network that is still in use: torch shares the class of a parametrised module with its
    copies, and takes `weight` away from all of them. Build a second network and load the state instead.
    """
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):
            with frozen_power_iteration(module):
                parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
