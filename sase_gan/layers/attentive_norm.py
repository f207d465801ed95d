"""Attentive normalization: Li, Sun, Wu, ECCV 2020, arXiv 1908.01259.

Not the CVPR 2020 method of the same name, which is another idea. Written from the paper's formulae.

Deviations, each an option or a guard:
* `init_scale="batch"`: the layer starts as batch normalisation, its components alike up to a jitter and its attention
  silent, as `from_batchnorm` builds it; both grow as they are of use.
* `init_scale="unit"`: with the published initialisation the expected gain is `num_components / 2`, because the
  mixture weights are not normalised; dividing both tables by it makes the layer start as a standardisation.
* On a 1x1 map the unbiased variance does not exist; it counts as 0 there.
* A training batch of one uses the attention norm's running statistics for that call.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sase_gan.layers import map_affine
from sase_gan.layers.map_affine import affine, moments
from sase_gan.layers.statistics import check_choice, check_counts, normalise, wide, without_autocast

Activation = Literal["hard_sigmoid", "sigmoid", "softmax"]


class AttentiveNorm(nn.Module):
    """Standardise, then apply a mixture of K affine maps whose weights are computed from each instance.

    With `xh` the standardised input and, for instance n and channel c,

        s = mean(x) / sqrt(var(x) + descriptor_eps)            over the map, unbiased variance, of x and not of xh
        lambda = hard_sigmoid(attention_norm(W s))             K independent weights in [0, 1]
        y = (sum_k lambda_k scale_k) * xh + sum_k lambda_k shift_k

    Input and output `[batch, channels, height, width]`, any height and width. Parameters: 3KC + 2K
    (`attention_norm` "batch" or "group") or 3KC + K ("none"). The descriptor and the mixture are computed in at least
    float32 whatever the autocast type.

    The standardisation and the attention norm are children, never bases: converters of torch and timm replace a
    subclass of batch normalisation whole, and the K tables would be lost. The tables are called `scale` and `shift`
    and not `weight` and `bias`, because helpers that zero a last norm's `weight` would leave a random shift.

    Args:
        num_components: K, the number of affine maps.
        norm: "batch" (running statistics) or "group" (with `num_groups`; `num_groups=channels` is instance statistics).
        attention_norm: of the K logits: "batch" as published, "group", or "none", which gives W a bias.
        init_scale: "paper", scale ~ N(1, 0.1^2) and shift ~ N(0, 0.1^2); "unit", both divided by the sum of the
            expected mixture weights, so that the expected gain is 1; or "batch", exactly the standardised input.
        decay_affine: whether the two tables take weight decay (as the authors' do); otherwise a model lists them
            among its parameters without.

    Raises:
        ValueError: for a count below 1, channels that `num_groups` does not divide, or an unknown name.

    Example:
        >>> AttentiveNorm(8, num_components=4)(torch.randn(2, 8, 5, 5)).shape
        torch.Size([2, 8, 5, 5])
    """

    def __init__(
        self,
        channels: int,
        num_components: int = 10,
        *,
        norm: Literal["batch", "group"] = "batch",
        num_groups: int = 32,
        attention_norm: Literal["batch", "group", "none"] = "batch",
        activation: Activation = "hard_sigmoid",
        descriptor_eps: float = 1e-3,
        eps: float = 1e-5,
        momentum: float = 0.1,
        init_scale: Literal["paper", "unit", "batch"] = "paper",
        decay_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, num_components=num_components)
        check_choice("norm", norm, ("batch", "group"))
        if norm == "group" and channels % num_groups:
            raise ValueError(f"num_groups is {num_groups}; it must divide the {channels} channels")
        check_choice("attention_norm", attention_norm, ("batch", "group", "none"))
        check_choice("activation", activation, ("hard_sigmoid", "sigmoid", "softmax"))
        check_choice("init_scale", init_scale, ("paper", "unit", "batch"))
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.channels, self.num_components = channels, num_components
        self.activation, self.descriptor_eps = activation, descriptor_eps
        self.init_scale, self.decay_affine = init_scale, decay_affine
        # The mixture weight of one component when its logit is 0: what the two tables are scaled by.
        self.expected_weight = 1 / num_components if activation == "softmax" else 0.5
        self.norm: nn.Module = nn.BatchNorm2d(channels, eps, momentum, affine=False, **factory)
        if norm == "group":
            self.norm = nn.GroupNorm(num_groups, channels, eps, affine=False, **factory)
        self.proj = nn.Conv2d(channels, num_components, 1, bias=attention_norm == "none", **factory)
        self.attn_norm: nn.Module = nn.Identity()
        if attention_norm == "batch":
            self.attn_norm = nn.BatchNorm2d(num_components, eps, momentum, **factory)
        elif attention_norm == "group":
            self.attn_norm = nn.GroupNorm(1, num_components, eps, **factory)
        self.scale = nn.Parameter(torch.empty(num_components, channels, **factory))
        self.shift = nn.Parameter(torch.empty(num_components, channels, **factory))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the tables and the projection anew; set both norms to their start."""
        gain = 1.0 if self.init_scale == "paper" else 1 / (self.num_components * self.expected_weight)
        nn.init.normal_(self.scale, gain, 0.1 * gain)
        nn.init.normal_(self.shift, 0.0, 0.1 * gain)
        nn.init.kaiming_normal_(self.proj.weight, mode="fan_out")
        if self.proj.bias is not None:
            nn.init.zeros_(self.proj.bias)
        for norm in (self.norm, self.attn_norm):
            if not isinstance(norm, nn.Identity):
                norm.reset_parameters()  # type: ignore[operator]
        if self.init_scale == "batch":
            self._start_as(torch.ones(()), torch.zeros(()), jitter=0.1)
            self._silence()

    @torch.no_grad()
    def _start_as(self, weight: Tensor, bias: Tensor, *, jitter: float) -> None:
        """Set the tables so that equal mixture weights give this affine map; the relative jitter cancels over them."""
        total = self.num_components * self.expected_weight
        for table, value in ((self.scale, weight), (self.shift, bias)):
            spread = jitter * torch.randn_like(table)
            table.copy_(value / total * (1 + spread - spread.mean(0)))

    def _silence(self) -> None:
        """Zero what drives the attention, so that all mixture weights are equal whatever comes in."""
        driver: Any = self.proj if isinstance(self.attn_norm, nn.Identity) else self.attn_norm
        nn.init.zeros_(driver.weight)
        nn.init.zeros_(driver.bias)

    def zero_init(self) -> None:
        """Zero both tables: the output is 0, the usual start of the last norm of a residual branch."""
        nn.init.zeros_(self.scale)
        nn.init.zeros_(self.shift)

    def mixture_weights(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch components"]:
        """Compute the weights lambda of the K affine maps for each instance, in [0, 1], in at least float32."""
        with without_autocast(x):
            x = wide(x)
            pixels = x.shape[-1] * x.shape[-2]
            if pixels > 1:
                # Two plain passes: torch's var_mean is 20 times slower on CPUs, and E[x^2] - E[x]^2 loses digits.
                mean = x.mean((2, 3), keepdim=True)
                variance = (x - mean).square().sum((2, 3), keepdim=True) / (pixels - 1)
                descriptor = mean * torch.rsqrt(variance + self.descriptor_eps)
            else:
                descriptor = x * self.descriptor_eps**-0.5
            return self.weights_of(descriptor.flatten(1))

    def weights_of(self, descriptor: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch components"]:
        """Compute the weights lambda from the descriptor of each instance; to watch or replace them, take this method.

        Both ways to compute the layer pass through this method.
        """
        bias = None if self.proj.bias is None else self.proj.bias.to(descriptor.dtype)
        logits = F.linear(descriptor, self.proj.weight.flatten(1).to(descriptor.dtype), bias)
        logits = normalise(self.attn_norm, logits[:, :, None, None]).flatten(1)
        if self.activation == "hard_sigmoid":
            return F.relu6(logits + 3) / 6
        return logits.sigmoid() if self.activation == "sigmoid" else logits.softmax(1)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Normalise a map; the result has the type and memory format of `x`."""
        if self.takes_few_passes(x):
            with without_autocast(x):
                return self._in_few_passes(x)
        weights = self.mixture_weights(x)
        with without_autocast(x):
            gamma, beta = self._affine_of(weights)
        standardised = normalise(self.norm, x)
        gamma, beta = (affine.to(standardised.dtype)[:, :, None, None] for affine in (gamma, beta))
        return torch.addcmul(beta, gamma, standardised)

    def _affine_of(self, weights: Float[Tensor, "batch components"]) -> list[Float[Tensor, "batch channels"]]:
        """Mix both tables."""
        return [weights @ table.to(weights.dtype) for table in (self.scale, self.shift)]

    def takes_few_passes(self, x: Tensor) -> bool:
        """Tell whether the statistics of each map by itself give those that this layer standardises by."""
        norm: Any = self.norm
        by_batch = type(norm) is nn.BatchNorm2d and (norm.momentum is not None or not norm.training)
        by_map = isinstance(norm, nn.GroupNorm) and norm.num_groups == self.channels
        return (by_batch or by_map) and map_affine.takes_few_passes(x, self.scale.dtype)

    def _in_few_passes(self, x: Tensor) -> Tensor:
        """Compute the same from the moments of each map: those of the batch are their means."""
        norm: Any = self.norm
        pixels = x.shape[2] * x.shape[3]
        mean, variance = moments(x)
        descriptor = mean * torch.rsqrt(variance * (pixels / (pixels - 1)) + self.descriptor_eps)
        gamma, beta = self._affine_of(self.weights_of(descriptor))
        by_batch = isinstance(norm, nn.BatchNorm2d)
        if by_batch and not norm.training:
            # One that is frozen standardises by what it has seen, whatever the layer does.
            variance, mean = norm.running_var, norm.running_mean.expand_as(mean)
        elif by_batch:
            batch_mean = mean.mean(0)
            variance = (variance + (mean - batch_mean).square()).mean(0)
            mean = batch_mean.expand_as(mean)
            self._follow(norm, batch_mean, variance, len(x) * pixels)
        return affine(x, gamma * torch.rsqrt(variance + norm.eps), mean, beta)

    @staticmethod
    @torch.no_grad()
    def _follow(norm: Any, mean: Tensor, variance: Tensor, count: int) -> None:
        """Advance the running statistics, whose variance is the unbiased one."""
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)

    @classmethod
    def from_batchnorm(
        cls,
        batch_norm: Any,
        num_components: int,
        *,
        mode: Literal["exact", "expectation"] = "exact",
        jitter: float = 0.1,
        attention_norm: Literal["batch", "group", "none"] = "batch",
        activation: Activation = "hard_sigmoid",
    ) -> AttentiveNorm:
        """Build an attentive norm that starts as the given trained batch normalisation.

        Args:
            batch_norm: `nn.BatchNorm2d`, `nn.SyncBatchNorm`, or the frozen ones of torchvision and timm.
            mode: "exact" also zeroes what drives the attention, so that the output equals the batch norm's, in
                training and evaluation; "expectation" keeps the attention random and is right on average only.
            jitter: relative spread of the components around the common value. It sums to zero over the components, so
                exactness stays, and without it identical components could never become different.

        Raises:
            ValueError: for a module without running statistics, or an unknown mode.
        """
        mean, variance = getattr(batch_norm, "running_mean", None), getattr(batch_norm, "running_var", None)
        if mean is None or variance is None:
            kind = type(batch_norm).__name__
            raise ValueError(f"got {kind} without running statistics; pass a trained 2-D batch normalisation")
        check_choice("mode", mode, ("exact", "expectation"))
        channels = mean.numel()
        layer = cls(
            channels,
            num_components,
            attention_norm=attention_norm,
            activation=activation,
            eps=batch_norm.eps,
            momentum=getattr(batch_norm, "momentum", 0.1),
            init_scale="unit",
            device=mean.device,
            dtype=mean.dtype,
        )
        weight, bias = getattr(batch_norm, "weight", None), getattr(batch_norm, "bias", None)
        weight = torch.ones_like(mean) if weight is None else weight.detach()
        bias = torch.zeros_like(mean) if bias is None else bias.detach()
        norm: Any = layer.norm
        layer._start_as(weight, bias, jitter=jitter)
        with torch.no_grad():
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            if getattr(batch_norm, "num_batches_tracked", None) is not None:
                norm.num_batches_tracked.copy_(batch_norm.num_batches_tracked)
        if mode == "exact":
            layer._silence()
        return layer.train(batch_norm.training)

    def extra_repr(self) -> str:
        """Name channels and components in a printed model."""
        return f"{self.channels}, num_components={self.num_components}, activation={self.activation!r}"
