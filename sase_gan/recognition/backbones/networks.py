"""timm's ResNet, MobileNetV2 and DenseNet with exchangeable norms, convolutions and attention.

The networks are timm's own; after they are built, layers are replaced in the published places, so the names of all
untouched weights stay timm's. Placements: attentive normalization in norm 2 of bottlenecks and norm 1 of basic blocks
(Li, Sun, Wu 2020), after the depthwise convolution of MobileNetV2 and in norm 2 of DenseNet's layers; SASE in conv 2;
AW-convolution in conv 2 of bottlenecks and both of basic blocks; attention after the last norm of a block (MobileNetV2:
after the depthwise convolution of expanding blocks).
"""

from collections.abc import Iterator
from typing import Any

from timm.models import register_notrace_module
from timm.models.densenet import DenseLayer, DenseNet
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.recognition.backbones.choices import LayerChoice, attention_layer, place, replace_conv, replace_norm

# The grouped form folds the batch into the channels, which symbolic tracing cannot follow.
register_notrace_module(AWConv2d)

# K of the stages, as published.
COMPONENTS = (10, 10, 20, 20)
MOBILENET_COMPONENTS = (5, 5, 5, 5, 10, 10, 10)


class WeightDecayMixin:
    """A network that tells optimisers which parameters take no weight decay."""

    def no_weight_decay(self) -> set[str]:
        """Return the names of the affine tables built with `decay_affine=False`."""
        assert isinstance(self, nn.Module)
        norms = ((name, module) for name, module in self.named_modules() if isinstance(module, AttentiveNorm))
        return {f"{name}.{table}" for name, norm in norms if not norm.decay_affine for table in ("scale", "shift")}


class RecognitionResNet(WeightDecayMixin, ResNet):
    """A ResNet of timm with the layers of `choice`; the other arguments are those of timm's `ResNet`.

    Args:
        small_stem: a 3x3 convolution of stride 1 without pooling, for pictures of about 32 px.
    """

    def __init__(
        self,
        *args: Any,
        choice: LayerChoice | None = None,
        small_stem: bool = False,
        zero_init_last: bool = True,
        block_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        choice = choice or LayerChoice()
        attention = attention_layer(choice)
        block_args = (block_args or {}) | ({"attn_layer": attention} if attention is not None else {})
        super().__init__(*args, **{**kwargs, "zero_init_last": zero_init_last, "block_args": block_args})
        self.choice = choice
        if small_stem:
            self._shrink_stem()
        for stage, block in self._blocks():
            self._replace_layers(block, stage, zero_init_last)
        if choice.position == "all":
            self._replace_outer_norms()

    def _blocks(self) -> Iterator[tuple[int, nn.Module]]:
        for stage in range(4):
            for block in self.get_submodule(f"layer{stage + 1}").children():
                yield stage, block

    def _shrink_stem(self) -> None:
        convs = [module for module in self.conv1.modules() if isinstance(module, nn.Conv2d)]
        channels = convs[0].in_channels, convs[-1].out_channels
        stem = nn.Conv2d(*channels, 3, padding=1, bias=False, **place(convs[0].weight))
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        # Assigning a module keeps its place among the children, which is the order of the forward pass.
        self.add_module("conv1", stem)
        self.add_module("maxpool", nn.Identity())
        for info, reduction in zip(self.feature_info, (1, 1, 2, 4, 8), strict=True):
            info["reduction"] = reduction

    def _replace_layers(self, block: nn.Module, stage: int, zero_init_last: bool) -> None:
        basic = isinstance(block, BasicBlock)
        for name in ("conv1", "conv2") if basic and self.choice.conv == "aw" else ("conv2",):
            setattr(block, name, replace_conv(getattr(block, name), self.choice))
        for name in _norm_names(self.choice.position, basic):
            replace_norm(block, name, self.choice, stage, COMPONENTS)
            norm = getattr(block, name)
            if zero_init_last and isinstance(norm, AttentiveNorm) and name == ("bn2" if basic else "bn3"):
                norm.zero_init()

    def _replace_outer_norms(self) -> None:
        outer: list[tuple[int, Any]] = [(0, self.conv1)]
        outer += [(stage, block.downsample) for stage, block in self._blocks()]
        replace_norm(self, "bn1", self.choice, 0, COMPONENTS)
        for stage, parent in outer:
            for name, module in list(parent.named_children()) if parent is not None else []:
                if isinstance(module, nn.BatchNorm2d):
                    replace_norm(parent, name, self.choice, stage, COMPONENTS)


def _norm_names(position: str, basic: bool) -> list[str]:
    """List the names of a ResNet block's norms at a position, e.g. "bn12" -> ["bn1", "bn2"]."""
    last = 2 if basic else 3
    named = {"default": "1" if basic else "2", "all": "123"[:last]}
    digits = named.get(position, position.removeprefix("bn"))
    if any(int(digit) > last for digit in digits):
        raise UsageError(f"position is {position!r}; a basic block has only norms 1 and 2")
    return [f"bn{digit}" for digit in digits]


class RecognitionMobileNetV2(WeightDecayMixin, EfficientNet):
    """timm's MobileNetV2 with the layers of `choice`; SASE is not offered.

    The network of timm has no attention slots in MobileNetV2's description, so the attention is put where its blocks
    keep one. AW-convolution takes the depthwise convolutions.
    """

    def __init__(self, *args: Any, choice: LayerChoice | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choice = choice = choice or LayerChoice()
        _check_offered("MobileNetV2", choice)
        attention = attention_layer(choice)
        for stage, blocks in enumerate(self.blocks):
            block: Any
            for block in blocks.children():
                expands = hasattr(block, "conv_pwl")
                block.conv_dw = replace_conv(block.conv_dw, choice)
                replace_norm(block, "bn2" if expands else "bn1", choice, stage, MOBILENET_COMPONENTS)
                if attention is not None and expands:
                    block.se = attention(block.conv_dw.out_channels, **place(block.conv_dw.weight))


class RecognitionDenseNet(WeightDecayMixin, DenseNet):
    """timm's DenseNet with the layers of `choice`; SASE and attention are not offered."""

    def __init__(self, *args: Any, choice: LayerChoice | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choice = choice = choice or LayerChoice()
        _check_offered("DenseNet", choice)
        if choice.attention != "none":
            raise UsageError(f"attention is {choice.attention!r}; DenseNet is offered without")
        for stage in range(4):
            for layer in self.features.get_submodule(f"denseblock{stage + 1}").modules():
                if isinstance(layer, DenseLayer):
                    layer.conv2 = replace_conv(layer.conv2, choice)  # type: ignore[arg-type]
                    replace_norm(layer, "norm2", choice, stage, COMPONENTS)


def _check_offered(network: str, choice: LayerChoice) -> None:
    if choice.conv in ("sase", "grouped"):
        raise UsageError(f"conv is {choice.conv!r}; {network} is offered with plain and aw only")
    if choice.position != "default":
        raise UsageError(f"position is {choice.position!r}; {network} has only the default one")
