"""Spectral normalisation, of a whole weight or of each group of a grouped convolution.

Miyato et al. 2018, arXiv 1802.05957. A whole weight has torch's parametrisation, its start and its buffers, in fewer
passes over the weight: each product with a singular vector reads it as it lies in memory, sigma is the length of W'u
that the iteration ends with, and the gradient is written down (`_Divided`) instead of found step by step. A grouped
convolution stacks the weights of several independent maps; one norm over the stack would couple them and change the
function, so each group has its own power iteration, batched.

The parametrisation's iteration differs from that of torch's first spectral norm, which the releases of this family
use, in start and order; `start_as_released` is that one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

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
    weight = module.weight
    assert isinstance(weight, Tensor)
    norm = WholeSpectralNorm(weight, dim=dim) if groups == 1 else GroupedSpectralNorm(weight, groups)
    parametrize.register_parametrization(module, "weight", norm)
    return module


class _Layout(NamedTuple):
    """A weight's matrices `[groups, rows, columns]` are viewed as it lies in memory: no copy, whatever its format.

    With `dim` 1 a weight `[a, rows, b]` is one matrix, whose columns are its first and its last axis.
    """

    groups: int
    dim: int = 0

    def matrices(self, weight: Tensor) -> Tensor:
        """View the matrices; only for `dim` 0."""
        if _channels_last(weight):
            weight = weight.permute(0, 2, 3, 1)
        return weight.reshape(self.groups, weight.shape[0] // self.groups, -1)

    def times_right(self, weight: Tensor, right: Tensor) -> Tensor:
        """Return `[groups, rows]`: each matrix times its right vector `[groups, columns]`."""
        if self.dim == 1:
            return torch.bmm(weight.flatten(2), right.view(weight.shape[0], -1, 1)).sum(0).T
        return torch.bmm(self.matrices(weight), right[:, :, None])[:, :, 0]

    def times_left(self, weight: Tensor, left: Tensor) -> Tensor:
        """Return `[groups, columns]`: each matrix, transposed, times its left vector `[groups, rows]`."""
        if self.dim == 1:
            return torch.bmm(left.expand(weight.shape[0], 1, -1), weight.flatten(2)).view(1, -1)
        return torch.bmm(left[:, None], self.matrices(weight))[:, 0]

    def add_outer(self, weight: Tensor, left: Tensor, right: Tensor) -> None:
        """Add the outer product of both vectors to each matrix, in place."""
        if self.dim == 1:
            rows, first = left.view(1, -1, 1), weight.shape[0]
            weight.flatten(2).baddbmm_(rows.expand(first, -1, 1), right.view(first, 1, -1))
        else:
            self.matrices(weight).baddbmm_(left[:, :, None], right[:, None])

    def over_matrices(self, values: Tensor, weight: Tensor) -> Tensor:
        """Repeat one value a matrix `[groups]` so that it is broadcast over a weight."""
        if self.groups == 1:
            return values
        return values.repeat_interleave(weight.shape[0] // self.groups).view(-1, *(1,) * (weight.ndim - 1))

    def in_memory(self, right: Tensor, weight: Tensor) -> Tensor:
        """Reorder right vectors from the order of the axes to that of the memory."""
        if not _channels_last(weight):
            return right
        return right.view(self.groups, *weight.shape[1:]).permute(0, 2, 3, 1).flatten(1)

    def in_order(self, right: Tensor, weight: Tensor) -> Tensor:
        """Reorder right vectors back."""
        if not _channels_last(weight):
            return right
        channels, height, width = weight.shape[1:]
        return right.view(self.groups, height, width, channels).permute(0, 3, 1, 2).flatten(1)


def _channels_last(weight: Tensor) -> bool:
    return weight.ndim == 4 and not weight.is_contiguous()


def _iterate(weight: Tensor, left: Tensor, right: Tensor, layout: _Layout, right_first: bool = False) -> Tensor:
    """Advance both vectors in place by one iteration; return sigma, `[groups]`."""
    if right_first:
        found = F.normalize(layout.times_left(weight, left), dim=1, eps=EPS)
        right.copy_(layout.in_order(found, weight))
        found = layout.times_right(weight, found)
        sigma = found.norm(dim=1)
        left.copy_(found / sigma.clamp_min(EPS)[:, None])
        return sigma
    found = F.normalize(layout.times_right(weight, layout.in_memory(right, weight)), dim=1, eps=EPS)
    left.copy_(found)
    found = layout.times_left(weight, found)
    sigma = found.norm(dim=1)
    right.copy_(layout.in_order(found / sigma.clamp_min(EPS)[:, None], weight))
    return sigma


class _Divided(torch.autograd.Function):
    """The quotient W / sigma with sigma = u'Wv, whose gradient is (g - (g . W / sigma) u v') / sigma."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, left: Tensor, right: Tensor, sigma: Tensor, layout: _Layout) -> Tensor:
        ctx.save_for_backward(weight, left, right, sigma)
        ctx.layout = layout
        return weight / layout.over_matrices(sigma, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, left, right, sigma = ctx.saved_tensors
        layout = ctx.layout
        if torch.is_grad_enabled():  # the gradient itself is to be differentiated
            product = layout.times_right(weight, layout.in_memory(right, weight))
            quotient = weight / layout.over_matrices((left * product).sum(1), weight)
            (found,) = torch.autograd.grad(quotient, weight, gradient, create_graph=True)
            return found, None, None, None, None
        scaled = torch.empty_like(weight)
        torch.div(gradient, layout.over_matrices(sigma, weight), out=scaled)
        if layout.groups == 1:
            memory = (part.permute(0, 2, 3, 1) if _channels_last(weight) else part for part in (scaled, weight))
            products = torch.dot(*(part.reshape(-1) for part in memory))[None]
        else:
            products = (layout.matrices(scaled) * layout.matrices(weight)).sum((1, 2))
        layout.add_outer(scaled, left * (-products / sigma)[:, None], layout.in_memory(right, weight))
        return scaled, None, None, None, None


def _divided(
    weight: Tensor, left: Tensor, right: Tensor, layout: _Layout, *, iterate: bool, right_first: bool
) -> Tensor:
    """Divide each matrix by its sigma, after one iteration or with the vectors as they are."""
    with without_autocast(weight):
        with torch.no_grad():
            if iterate:
                sigma = _iterate(weight, left, right, layout, right_first)
            else:
                sigma = (left * layout.times_right(weight, layout.in_memory(right, weight))).sum(1)
        # Copies, because the next forward changes the vectors in place before this graph's backward pass.
        return _Divided.apply(weight, left.clone(), right.clone(), sigma, layout)


class WholeSpectralNorm(_SpectralNorm):
    """Compute `weight / sigma(weight)` as torch's parametrisation does, to rounding, in fewer passes."""

    right_first = False

    def __init__(self, weight: Tensor, *, dim: int) -> None:
        super().__init__(weight, n_power_iterations=1, dim=dim, eps=EPS)

    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        if not weight_mat.is_meta:  # which has shapes only: what is built there is compared with a file
            super()._power_method(weight_mat, n_power_iterations)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised weight, of the same shape; differentiable in `weight`."""
        layout = _Layout(1, self.dim)
        vectors = self._u[None], self._v[None]
        return _divided(weight, *vectors, layout, iterate=self.training, right_first=self.right_first)


class GroupedSpectralNorm(nn.Module):
    """Compute `weight[g] / sigma(weight[g])` for each group g, sigma by one power iteration a training forward.

    The weight is `[out_channels, ...]`; its initial value starts the iteration with 15 steps, as torch's does.
    """

    left: Tensor
    right: Tensor
    right_first = False

    def __init__(self, weight: Tensor, groups: int) -> None:
        super().__init__()
        if weight.shape[0] % groups:
            raise ValueError(f"groups is {groups}; it must divide the {weight.shape[0]} output channels")
        self.layout = _Layout(groups)
        weight = weight.detach()
        matrix = self.layout.matrices(weight)
        self.register_buffer("left", F.normalize(torch.randn_like(matrix[:, :, 0]), dim=1, eps=EPS))
        self.register_buffer("right", F.normalize(torch.randn_like(matrix[:, 0, :]), dim=1, eps=EPS))
        self._power_method(weight, 15)

    @torch.no_grad()
    def _power_method(self, weight: Tensor, steps: int) -> None:
        for _ in range(steps):
            _iterate(weight, self.left, self.right, self.layout)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the normalised weight, of the same shape; differentiable in `weight`."""
        vectors = self.left, self.right
        return _divided(weight, *vectors, self.layout, iterate=self.training, right_first=self.right_first)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what is stored when the weight is assigned: the value itself."""
        return weight


@torch.no_grad()
def start_as_released(network: nn.Module, source: torch.Generator) -> None:
    """Give all spectral norms of a network the start and the order of `torch.nn.utils.spectral_norm`, in place.

    Both vectors are random, and no iteration precedes the first forward pass; one is `v = W'u / |W'u|`, then
    `u = W v / |W v|`, and sigma = u'Wv. Torch's parametrisation starts with 15 iterations and takes u first.
    """
    for norm in _norms(network):
        norm.right_first = True
        for vector in norm.buffers():
            vector.copy_(F.normalize(torch.randn(vector.shape, generator=source), dim=-1, eps=EPS))


@torch.no_grad()
def converge_spectral_norms(network: nn.Module, iterations: int = 500) -> None:
    """Find the singular vectors of weights that were put in place of others; each iteration is one of training."""
    modules = (module for module in network.modules() if parametrize.is_parametrized(module, "weight"))
    for module in modules:
        for norm in module.parametrizations["weight"]:  # type: ignore[index]
            training = norm.training
            norm.train()
            for _ in range(iterations):
                norm(module.parametrizations["weight"].original)  # type: ignore[union-attr, index]
            norm.train(training)


def _norms(network: nn.Module) -> list[Any]:
    modules: list[Any] = [m for m in network.modules() if parametrize.is_parametrized(m, "weight")]
    return [parametrization for module in modules for parametrization in module.parametrizations["weight"]]


@contextmanager
def frozen_power_iteration(network: nn.Module) -> Iterator[None]:
    """Keep the singular vectors of all spectral norms of `network` as they are within the block.

    The weights stay differentiable. Used where a network is called a second time within one step, and where a copy
    in training mode only gathers batch statistics.
    """
    norms = _norms(network)
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
