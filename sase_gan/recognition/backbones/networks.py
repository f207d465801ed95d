"""timm's ResNet, MobileNetV2 and DenseNet with exchangeable norms, convolutions and attention.

The networks are timm's own; after they are built, layers are replaced in the published places, so the names of all
untouched weights stay timm's. Placements: attentive normalization in norm 2 of bottlenecks and norm 1 of basic blocks
(Li, Sun, Wu 2020), after the depthwise convolution of MobileNetV2 and in norm 2 of DenseNet's layers; SASE in conv 2;
AW-convolution in conv 2 of bottlenecks and both of basic blocks; attention after the last norm of a block (MobileNetV2:
after the depthwise convolution of expanding blocks).
"""

from collections.abc import Iterator
from typing import Any

import torch
from timm.models import register_notrace_module
from timm.models.densenet import DenseLayer, DenseNet
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from sase_gan.errors import UsageError
from sase_gan.layers.attentive_norm import AttentiveNorm
from sase_gan.layers.aw_conv import AWConv2d
from sase_gan.recognition.backbones.choices import LayerChoice, attention_layer, components, replace_conv
from sase_gan.recognition.backbones.norm_act import like

# The grouped form folds the batch into the channels, which symbolic tracing cannot follow.
register_notrace_module(AWConv2d)

RESNET_COMPONENTS = (10, 10, 20, 20)
DENSENET_COMPONENTS = (10, 10, 20, 20)
MOBILENET_COMPONENTS = (5, 5, 5, 5, 10, 10, 10)


class WeightDecayMixin:
    """A network that tells optimisers which parameters take no weight decay."""

    def no_weight_decay(self) -> set[str]:
        """Return the names of the affine tables built with `decay_affine=False`."""
        assert isinstance(self, nn.Module)
        return {
            f"{name}.{table}"
            for name, module in self.named_modules()
            if isinstance(module, AttentiveNorm) and not module.decay_affine
            for table in ("scale", "shift")
        }


class RecognitionResNet(WeightDecayMixin, ResNet):
    """A ResNet of timm with the layers of `choice`.

    Args:
        choice: of the layers.
        small_stem: a 3x3 convolution of stride 1 without pooling, for pictures of about 32 px.
        in_chans, num_classes and the rest: as in timm's `ResNet`.
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
        self_choice = choice or LayerChoice()
        block_args = dict(block_args or {})
        attention = attention_layer(self_choice)
        if attention is not None:
            block_args["attn_layer"] = attention
        super().__init__(*args, **{**kwargs, "zero_init_last": zero_init_last, "block_args": block_args})
        self.choice = self_choice
        if small_stem:
            self._shrink_stem()
        for stage, block in self._blocks():
            self._replace_convs(block)
            self._replace_norms(block, stage, zero_init_last)
        if self_choice.norm == "attentive" and self_choice.position == "all":
            self._replace_outer_norms()

    def _blocks(self) -> Iterator[tuple[int, nn.Module]]:
        for stage, layer in enumerate((self.layer1, self.layer2, self.layer3, self.layer4)):
            assert isinstance(layer, nn.Module)
            for block in layer.children():
                yield stage, block

    def _shrink_stem(self) -> None:
        convs = [module for module in self.conv1.modules() if isinstance(module, nn.Conv2d)]
        where: dict[str, Any] = {"device": convs[0].weight.device, "dtype": convs[0].weight.dtype}
        stem = nn.Conv2d(convs[0].in_channels, convs[-1].out_channels, 3, padding=1, bias=False, **where)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        # Assigning a module keeps its place among the children, which is the order of the forward pass.
        self.add_module("conv1", stem)
        self.add_module("maxpool", nn.Identity())
        for info, reduction in zip(self.feature_info, (1, 1, 2, 4, 8), strict=True):
            info["reduction"] = reduction

    def _replace_convs(self, block: nn.Module) -> None:
        both = isinstance(block, BasicBlock) and self.choice.conv == "aw"
        for name in ("conv1", "conv2") if both else ("conv2",):
            setattr(block, name, replace_conv(getattr(block, name), self.choice))

    def _replace_norms(self, block: nn.Module, stage: int, zero_init_last: bool) -> None:
        if self.choice.norm == "batch":
            return
        basic = isinstance(block, BasicBlock)
        names = norm_positions(self.choice.position, basic)
        num_components = components(self.choice, stage, RESNET_COMPONENTS)
        for name in names:
            layer = like(getattr(block, name), num_components, decay_affine=self.choice.decay_affine)
            if zero_init_last and name == ("bn2" if basic else "bn3"):
                layer.zero_init()
            setattr(block, name, layer)

    def _replace_outer_norms(self) -> None:
        decay = self.choice.decay_affine
        first = components(self.choice, 0, RESNET_COMPONENTS)
        stem: list[tuple[nn.Module, str]] = [(self, "bn1")]
        if isinstance(self.conv1, nn.Sequential):
            stem += [(self.conv1, name) for name, m in self.conv1.named_children() if isinstance(m, nn.BatchNorm2d)]
        for parent, name in stem:
            setattr(parent, name, like(getattr(parent, name), first, decay_affine=decay))
        for stage, block in self._blocks():
            shortcut = block.downsample
            for name, module in list(shortcut.named_children()) if isinstance(shortcut, nn.Module) else []:
                if isinstance(module, nn.BatchNorm2d):
                    number = components(self.choice, stage, RESNET_COMPONENTS)
                    setattr(shortcut, name, like(module, number, decay_affine=decay))


def norm_positions(position: str, basic: bool) -> tuple[str, ...]:
    """Return the names of a ResNet block's norms at a position, e.g. "bn12" -> ("bn1", "bn2").

    Raises:
        UsageError: for a norm that a basic block lacks.
    """
    last = 2 if basic else 3
    if position == "default":
        return ("bn1",) if basic else ("bn2",)
    digits = "".join(str(i) for i in range(1, last + 1)) if position == "all" else position.removeprefix("bn")
    if any(int(digit) > last for digit in digits):
        raise UsageError(f"position is {position!r}; a basic block has only norms 1 and 2")
    return tuple(f"bn{digit}" for digit in digits)


class RecognitionMobileNetV2(WeightDecayMixin, EfficientNet):
    """timm's MobileNetV2 with the layers of `choice`; SASE is not offered.

    The network of timm has no attention slots in MobileNetV2's description, so the attention is put where its blocks
    keep one. AW-convolution takes the depthwise convolutions.
    """

    def __init__(self, *args: Any, choice: LayerChoice | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choice = choice or LayerChoice()
        if self.choice.conv in ("sase", "grouped"):
            raise UsageError(f"conv is {self.choice.conv!r}; MobileNetV2 is offered with plain and aw only")
        if self.choice.position != "default":
            raise UsageError(f"position is {self.choice.position!r}; MobileNetV2 has only the default one")
        attention = attention_layer(self.choice)
        for stage, blocks in enumerate(self.blocks):
            for block in blocks.children():
                expands = hasattr(block, "conv_pwl")
                self._replace(block, "bn2" if expands else "bn1", stage)
                if attention is not None and expands:
                    depthwise = block.conv_dw
                    assert isinstance(depthwise, nn.Conv2d)
                    where = {"device": depthwise.weight.device, "dtype": depthwise.weight.dtype}
                    block.se = attention(depthwise.out_channels, **where)

    def _replace(self, block: nn.Module, norm: str, stage: int) -> None:
        block.conv_dw = replace_conv(block.conv_dw, self.choice)  # type: ignore[arg-type]
        if self.choice.norm == "attentive":
            number = components(self.choice, stage, MOBILENET_COMPONENTS)
            setattr(block, norm, like(getattr(block, norm), number, decay_affine=self.choice.decay_affine))


class RecognitionDenseNet(WeightDecayMixin, DenseNet):
    """timm's DenseNet with the layers of `choice`; SASE and attention are not offered."""

    def __init__(self, *args: Any, choice: LayerChoice | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choice = choice or LayerChoice()
        if self.choice.conv in ("sase", "grouped"):
            raise UsageError(f"conv is {self.choice.conv!r}; DenseNet is offered with plain and aw only")
        if self.choice.attention != "none":
            raise UsageError(f"attention is {self.choice.attention!r}; DenseNet is offered without")
        if self.choice.position != "default":
            raise UsageError(f"position is {self.choice.position!r}; DenseNet has only the default one")
        for stage in range(4):
            for layer in self.features.get_submodule(f"denseblock{stage + 1}").modules():
                if isinstance(layer, DenseLayer):
                    self._replace(layer, stage)

    def _replace(self, layer: nn.Module, stage: int) -> None:
        layer.conv2 = replace_conv(layer.conv2, self.choice)  # type: ignore[arg-type]
        if self.choice.norm == "attentive":
            number = components(self.choice, stage, DENSENET_COMPONENTS)
            layer.norm2 = like(layer.norm2, number, decay_affine=self.choice.decay_affine)  # type: ignore[arg-type]


def is_batch_norm(module: nn.Module) -> bool:
    """Say whether a module normalises by batch or frozen statistics of one vector: what `convert` may replace."""
    mean = getattr(module, "running_mean", None)
    return isinstance(mean, torch.Tensor) and mean.ndim == 1 and hasattr(module, "eps")
