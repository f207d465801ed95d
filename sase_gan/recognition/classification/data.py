"""Pictures with classes: folders and zips by class, idx files such as Fashion-MNIST's, and torchvision's data sets."""

import gzip
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import datasets
from torchvision.transforms import v2

from sase_gan.datasets.sources import open_images
from sase_gan.errors import DataError, UsageError
from sase_gan.pixels import to_pillow, to_tensor
from sase_gan.recognition.randomness import seed_cpu
from sase_gan.recognition.settings import Part, PicturesSection
from sase_gan.seeds import derive_seed, generator

FASHION = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_IDX_NAMES = {"train": "train", "test": "t10k", "images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}


@dataclass(frozen=True)
class LabelledSet:
    """Pictures and their classes.

    Attributes:
        read: gives picture i as uint8 [C, H, W], of any size.
        labels: int64 [N], an index into `classes` each.
        channels: of the pictures, 1 or 3.
    """

    read: Callable[[int], Tensor]
    labels: Tensor
    classes: tuple[str, ...]
    channels: int = 3

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Sequence[int]) -> "LabelledSet":
        """Take the pictures at `indices`, in that order, with the same classes."""
        chosen = list(indices)
        return replace(self, read=partial(_read_picked, self.read, chosen), labels=self.labels[chosen])


# Bound arguments and no closures: worker processes receive them pickled.
def _read_picked(read: Callable[[int], Tensor], indices: list[int], index: int) -> Tensor:
    return read(indices[index])


def _read_torchvision(data: Any, index: int) -> Tensor:
    return to_tensor(data[index][0].convert("RGB"))


def read_idx(path: Path) -> Tensor:
    """Read an idx file of bytes, gzipped or not, as uint8 with the file's shape.

    Raises:
        DataError: when the file is missing, not idx, or shorter or longer than its header says.
    """
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            content = file.read(2**31)
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}); the file is missing or damaged") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} does not start as an idx file of bytes; give the files as they were published")
    start = 4 + 4 * content[3]
    shape, body = struct.unpack(f">{content[3]}I", content[4:start]), content[start:]
    if len(body) != math.prod(shape):
        raise DataError(f"{path} holds {len(body)} values where its header promises {math.prod(shape)}; it is damaged")
    return torch.from_numpy(np.frombuffer(body, np.uint8).copy()).reshape(shape)


def open_labelled(path: str | Path, part: Part, *, held_out: float = 0.1, seed: int = 0) -> LabelledSet:
    """Open a part of a labelled data set.

    Args:
        path: a folder with idx files (such as Debian's /usr/share/datasets/fashion-mnist); a folder with `train` and
            `test` (or `val`) folders of class folders; a folder or zip of class folders, or a folder with `train`
            alone, which is then split; or `torchvision:NAME:FOLDER`, already downloaded there.
        held_out: the share of each class that is the test part where the data have none, split by `seed`.

    Raises:
        DataError: for data that are not of these forms or have fewer than two classes.
        UsageError: for a data set that torchvision does not know.
    """
    if isinstance(path, str) and path.startswith("torchvision:"):
        return _from_torchvision(path, part)
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root} does not exist; give a folder or zip of class folders, or a folder of idx files")
    if _idx_file(root, part, "images").exists():
        return _from_idx(root, part)
    if root.is_dir() and (root / "train").is_dir():
        own = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
        if own is not None:
            return _from_classes(root / "train" if part == "train" else own)
        root = root / "train"
    return _split(_from_classes(root), part, held_out, seed)


def _idx_file(root: Path, part: Part, kind: str) -> Path:
    path = root / f"{_IDX_NAMES[part]}-{_IDX_NAMES[kind]}"
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def _from_idx(root: Path, part: Part) -> LabelledSet:
    images, labels = (read_idx(_idx_file(root, part, kind)) for kind in ("images", "labels"))
    if images.ndim != 3 or len(images) != len(labels):
        raise DataError(f"{root}: {tuple(images.shape)} pictures do not go with {len(labels)} labels")
    count = int(labels.max()) + 1
    fashion = "fashion" in root.name.lower() and count == len(FASHION)
    classes = FASHION if fashion else tuple(str(i) for i in range(count))
    return LabelledSet(images[:, None].__getitem__, labels.long(), classes, channels=1)


def _from_classes(root: Path) -> LabelledSet:
    source = open_images(root, drawn=True)
    owners = [name.split("/")[0] if "/" in name else "" for name in source.names]
    if "" in owners:
        loose = source.names[owners.index("")]
        raise DataError(f"{root}: picture {loose} lies in no class folder; make one folder for each class")
    classes = tuple(sorted(set(owners)))
    if len(classes) < 2:
        raise DataError(f"{root} has only the class folder {classes[0]!r}; at least two classes are needed")
    return LabelledSet(source.read, torch.tensor([classes.index(owner) for owner in owners]), classes)


def _split(data: LabelledSet, part: Part, held_out: float, seed: int) -> LabelledSet:
    """Keep the same share of every class for the test part, at least one picture each."""
    chosen: list[int] = []
    for index, name in enumerate(data.classes):
        members = (data.labels == index).nonzero().flatten()
        if len(members) < 2:
            raise DataError(f"class {name!r} has {len(members)} picture; at least two are needed to hold one out")
        order = members[torch.randperm(len(members), generator=generator("split", seed, index))].tolist()
        count = max(1, round(held_out * len(order)))
        chosen += order[:count] if part == "test" else order[count:]
    return data.subset(sorted(chosen))


def _from_torchvision(text: str, part: Part) -> LabelledSet:
    words = text.split(":", 2)
    if len(words) != 3:
        raise UsageError(
            f"data is {text!r}; write torchvision:NAME:FOLDER, for example torchvision:CIFAR100:data/cifar"
        )
    _, name, folder = words
    kind = getattr(datasets, name, None)
    if kind is None:
        raise UsageError(f"torchvision has no data set {name!r}; check the spelling, e.g. CIFAR10, CIFAR100, MNIST")
    try:
        data = kind(folder, train=part == "train", download=False)
    except (RuntimeError, TypeError) as error:
        raise DataError(f"{name} cannot be opened in {folder} ({error}); download it there first") from error
    labels = torch.as_tensor(data.targets).long()
    return LabelledSet(partial(_read_torchvision, data), labels, tuple(map(str, data.classes)))


def take_evenly(data: LabelledSet, count: int | None, *, seed: int = 0) -> LabelledSet:
    """Draw `count` pictures with class sizes that differ by at most one where the data allow it; None keeps all."""
    if count is None or count >= len(data):
        return data
    order = torch.randperm(len(data), generator=generator("take", seed))
    ranks = torch.zeros(len(data), dtype=torch.long)
    for index in range(len(data.classes)):
        members = data.labels[order] == index
        ranks[members] = torch.arange(int(members.sum()))
    # By rank within the class first: the first `count` then hold equally many of each.
    return data.subset(sorted(order[ranks.argsort(stable=True)[:count]].tolist()))


class TrainingPictures(Dataset[tuple[Tensor, int]]):
    """Augmented uint8 pictures [C, S, S] and their classes.

    A key is `epoch * len + index`: the augmentation depends on (seed, epoch, index) and on nothing else, not on worker
    processes nor on what was drawn before.
    """

    def __init__(self, data: LabelledSet, settings: PicturesSection, *, seed: int = 0) -> None:
        self.data, self.seed, self.transform = data, seed, training_transform(settings)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: int) -> tuple[Tensor, int]:
        """Read and augment the picture of a key."""
        epoch, index = divmod(key, len(self.data))
        seed_cpu(derive_seed("augmentation", self.seed, epoch, index))
        return self.transform(self.data.read(index)), int(self.data.labels[index])


class EvaluationPictures(Dataset[tuple[Tensor, int]]):
    """Resized and middle-cropped uint8 pictures [channels, S, S] and their classes."""

    def __init__(self, data: LabelledSet, settings: PicturesSection, *, channels: int = 3) -> None:
        self.data, self.transform = data, evaluation_transform(settings, channels)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Read picture `index`."""
        return self.transform(self.data.read(index)), int(self.data.labels[index])


def training_transform(settings: PicturesSection) -> Callable[[Tensor], Tensor]:
    """Build the map of uint8 [C, H, W] to uint8 [C, image_size, image_size], at random as `settings` say."""
    size, way = settings.image_size, v2.InterpolationMode(settings.interpolation)
    steps: list[Any] = []
    if settings.crop == "random_resized":
        steps.append(v2.RandomResizedCrop(size, interpolation=way))
    else:
        steps += [v2.Resize(size, way), v2.CenterCrop(size)]
        if settings.crop == "padded":
            steps.append(v2.RandomCrop(size, padding=max(1, size // 8)))
    if settings.flip:
        steps.append(v2.RandomHorizontalFlip())
    if settings.colour_jitter:
        steps.append(v2.ColorJitter(*[settings.colour_jitter] * 3))
    if settings.rand_augment:
        constants = {"translate_const": int(size * 0.45), "img_mean": (128, 128, 128)}
        steps.append(partial(_through_pillow, rand_augment_transform(settings.rand_augment, constants)))
    return v2.Compose(steps)


def evaluation_transform(settings: PicturesSection, channels: int = 3) -> Callable[[Tensor], Tensor]:
    """Build the map of uint8 [3 or 1, H, W] to uint8 [channels, S, S]: grey, shorter side to `resize`, middle S."""
    size = settings.evaluation_size or settings.image_size
    resize = v2.Resize(max(size, settings.resize or size), v2.InterpolationMode(settings.interpolation))
    return v2.Compose([*([_to_grey] if channels == 1 else []), resize, v2.CenterCrop(size)])


def _to_grey(image: Tensor) -> Tensor:
    if len(image) == 1:
        return image
    # ITU-R 601 luma, as Pillow converts to greyscale; torchvision's weights are rounded to four digits.
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)
    return (image * weights).sum(0, keepdim=True).round().to(torch.uint8)


def _through_pillow(policy: Callable[[Image.Image], Image.Image], image: Tensor) -> Tensor:
    return to_tensor(policy(to_pillow(image.expand(3, -1, -1))))[: len(image)]
