"""timm's registry learns our networks when this module is imported: `timm.create_model("resnet50_an")`.

Names are a backbone and a suffix: `an` attentive normalization, `sase` the SASE convolution, `aw` AW-convolution,
`emsa` efficient multi-scale attention, `se` squeeze-excitation, `aw_se` and `aw_cbam` combinations; and the plain
`cifar_resnet*`. No pretrained weights are published. Keywords of timm (`num_classes`, `in_chans`, `features_only`,
`drop_path_rate` ...) work as in its own models, and the fields of `LayerChoice` go in as `choice=`.
"""

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from sase_gan.config import build
from sase_gan.recognition.backbones.backbone import ARCHITECTURES, architecture, offered_layers
from sase_gan.recognition.backbones.choices import LAYERS, LayerChoice
from sase_gan.recognition.backbones.networks import RecognitionResNet

MODELS = {
    f"{base}_{layers}".removesuffix("_bn"): (base, LAYERS[layers])
    for base in ARCHITECTURES
    for layers in offered_layers(base)
    if layers != "grouped" and (layers != "bn" or base.startswith("cifar_"))
}
"""Every registered name with its backbone and layers."""


def _config(base: str) -> dict[str, Any]:
    small, mobile = base.startswith("cifar_"), base.startswith("mobilenet")
    size = 32 if small else 224
    first = "features.conv0" if base.startswith("dense") else "conv_stem" if mobile else "conv1"
    return {  # what differs from timm's defaults, which are ImageNet's
        "url": "",
        "input_size": (3, size, size),
        "pool_size": (size // (8 if small else 32),) * 2,
        "interpolation": "bilinear",
        "first_conv": "conv1.0" if base.endswith("d") else first,
        "classifier": "fc" if base.startswith(("resnet", "cifar")) else "classifier",
        "license": "apache-2.0",
    }


# timm looks this up while a function is registered, so it stands before the registrations.
default_cfgs = generate_default_cfgs({f"{name}.untrained": _config(base) for name, (base, _) in MODELS.items()})


def _register(name: str, base: str, layers: LayerChoice) -> None:
    def entry(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        kind, arguments = architecture(base)
        choice = kwargs.pop("choice", layers)
        if isinstance(choice, dict):
            choice = build(LayerChoice, {**layers.model_dump(), **choice})
        getter = {} if kind is RecognitionResNet else {"feature_cfg": {"feature_cls": "getter"}}
        return build_model_with_cfg(kind, name, pretrained, choice=choice, **{**arguments, **getter, **kwargs})

    # timm takes the function's name as the model's.
    entry.__name__ = entry.__qualname__ = name
    entry.__doc__ = f"{base} with {layers}."
    globals()[name] = register_model(entry)


for _name, (_base, _layers) in MODELS.items():
    _register(_name, _base, _layers)
