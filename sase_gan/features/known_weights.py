"""The table of known weights says which files there are, how large they are, and what needs them."""

from dataclasses import dataclass

from sase_gan.errors import UsageError


@dataclass(frozen=True)
class WeightsFile:
    """One known file has a name, a size, a hash and an address.

    Args:
        name: how commands call it.
        title: how sentences call it.
        filename: the name it must have in a weights folder.
        megabytes: published size; a file under 97 % of it counts as cut short.
        sha256: the whole SHA-256 in hexadecimal, or its published beginning, or empty where none is published. In the
            last case the hash taken by `import_file` is written beside the file and checked from then on.
        needed_for: the metric or loss that asks for it.
        url: address, or empty.
        torchvision: name of torchvision's weights record, which knows the address.
    """

    name: str
    title: str
    filename: str
    megabytes: float
    sha256: str
    needed_for: str
    licence: str = "unknown"
    url: str = ""
    torchvision: str = ""

    def address(self) -> str:
        """Return where the file can be got from, or an empty string."""
        if self.torchvision:
            from torchvision.models import get_weight

            return str(get_weight(self.torchvision).url)
        return self.url


KNOWN: dict[str, WeightsFile] = {
    row.name: row
    for row in (
        WeightsFile(
            "efflite0",
            "EfficientNet-Lite0",
            "efficientnet-lite0-57934424.pth",
            18.8,
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "every metric called *_efflite0, copying and the perceptual loss",
            "Apache-2.0",
        ),
        WeightsFile(
            "inception",
            "Inception",
            "weights-inception-2015-12-05-6726825d.pth",
            95.6,
            "6726825d",
            "FID",
            "Apache-2.0",
            url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
        ),
        WeightsFile(
            "inception-tv",
            "torchvision Inception",
            "inception_v3_google-0cc3c7bd.pth",
            103.9,
            "0cc3c7bd",
            "SIFID on the scale of published tables",
            torchvision="Inception_V3_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "lpips-alex",
            "AlexNet",
            "alexnet-owt-7be5be79.pth",
            233.1,
            "7be5be79",
            "LPIPS (AlexNet)",
            torchvision="AlexNet_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "lpips-squeeze",
            "SqueezeNet",
            "squeezenet1_1-b8a52dc0.pth",
            4.7,
            "b8a52dc0",
            "LPIPS (SqueezeNet)",
            torchvision="SqueezeNet1_1_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "lpips-vgg",
            "VGG16",
            "vgg16-397923af.pth",
            527.8,
            "397923af",
            "LPIPS (VGG16) and metrics on VGG16 features",
            torchvision="VGG16_Weights.IMAGENET1K_V1",
        ),
        WeightsFile(
            "dinov2",
            "DINOv2 ViT-S/14",
            "dinov2_vits14_pretrain.pth",
            88.3,
            "",
            "metrics on DINOv2 features, a space not trained on ImageNet labels",
            "Apache-2.0",
            url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
        ),
    )
}


def known(name: str) -> WeightsFile:
    """Look up the record of `name`.

    Raises:
        UsageError: the name is not in the table.
    """
    if name not in KNOWN:
        raise UsageError(f"There are no weights called {name!r}; the known names are {', '.join(KNOWN)}.")
    return KNOWN[name]
