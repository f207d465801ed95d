"""What all layers share: refusing counts, and normalisation that survives a single value per channel or group."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def check_counts(**counts: int) -> None:
    """Refuse counts below 1.

    Raises:
        ValueError: names the first.
    """
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a name that is none of the choices.

    Raises:
        ValueError: lists them.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}")


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply `norm`, falling back to its running statistics where batch statistics do not exist.

    PyTorch's batch normalisation raises in training when a channel has one value only: a batch of one on a 1x1 map,
    which is what a global descriptor is. The variance of one value says nothing, so that single call uses the running
    statistics instead and leaves them as they are.

    A norm whose parameters are half precision is given what it can take: `x` `[batch, channels, ...]` in float32 is
    normalised in the norm's own type, and returned in float32.
    """
    if (
        isinstance(norm, _BatchNorm)
        and norm.training
        and norm.running_mean is not None
        and x.numel() == x.shape[0] * x.shape[1]
        and x.shape[0] == 1
    ):
        return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    if isinstance(norm, nn.GroupNorm) and x.shape[0] == 1 and x.numel() == norm.num_groups:
        # PyTorch refuses one value per group in a batch of one, and takes it in a larger batch: the shift is left.
        return torch.zeros_like(x) if norm.bias is None else norm.bias.to(x.dtype).reshape(x.shape)
    parameter = next(norm.parameters(recurse=False), None)
    if parameter is not None and parameter.dtype in (torch.float16, torch.bfloat16) and x.dtype == torch.float32:
        limit = torch.finfo(parameter.dtype).max
        return norm(x.clamp(-limit, limit).to(parameter.dtype)).float()
    return norm(x)


def wide(x: Tensor) -> Tensor:
    """Return `x` in at least float32, so that statistics and softmaxes keep their digits under mixed precision."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Turn mixed precision off within a block, for the device of `x` (the meta device, used to count, has none)."""
    if x.device.type == "meta":
        return nullcontext()
    return torch.autocast(device_type=x.device.type, enabled=False)


def like(result: Tensor, x: Tensor) -> Tensor:
    """Keep a result channels-last where `x` is."""
    return result.contiguous(memory_format=torch.channels_last) if is_channels_last(x) else result


def is_channels_last(x: Tensor) -> bool:
    """Tell whether a map lies channels last in memory, and not both ways, as one of 1x1 or a single channel does."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def constant(make: Callable[[], Tensor], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make a small table on the CPU and keep it on the device, so that no later step waits for its copy.

    `make` is a function, or a `partial` of one, whose result follows from its arguments alone.
    """
    key = (make.func, make.args) if isinstance(make, partial) else (make, ())
    if torch.compiler.is_compiling():  # what a compiler traces must not be kept
        return key[0](*key[1]).to(device, dtype)
    return _kept(*key, dtype, device)


@lru_cache(maxsize=256)
def _kept(make: Callable[..., Tensor], arguments: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.device("cpu"):
        return make(*arguments).to(device, dtype)
