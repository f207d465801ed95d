"""Public sets of pictures that the field measures on: where they are, how many pictures they have, whose they are.

Addresses, numbers, checksums and licences are as their publishers state them, or torchvision, which fetches some of
them; they were looked up on 2026-11-27 and not tried, for want of a network. An empty licence is one that nobody
states.
"""

from __future__ import annotations

from dataclasses import dataclass

from sase_gan.errors import UsageError

_FEW_SHOT = "https://data-efficient-gans.mit.edu/datasets/"
_OXFORD = "https://www.robots.ox.ac.uk/~vgg/data/"


@dataclass(frozen=True)
class PublicSet:
    """A public set has a name, an address, and what its publishers say of it.

    Attributes:
        what: what it shows.
        address: of its archive; of a page where it is given out by hand.
        count: of its pictures, None where no number is stated.
        licence: as published; empty where none is.
        page: where to read on.
        md5: of the archive, empty where none is published.
        by_hand: whether the address is a page for people, which a program cannot fetch from.
    """

    name: str
    what: str
    address: str
    count: int | None
    licence: str
    page: str
    md5: str = ""
    by_hand: bool = False


def _few_shot(name: str, file: str, what: str, count: int) -> PublicSet:
    page = "https://github.com/mit-han-lab/data-efficient-gans"
    return PublicSet(name, what, f"{_FEW_SHOT}{file}.zip", count, "", page)


_AFHQ_LICENCE = "Creative Commons BY-NC 4.0 (NAVER Corporation)"
_AFHQ_PAGE = "https://github.com/clovaai/stargan-v2"

PUBLIC_SETS: dict[str, PublicSet] = {
    row.name: row
    for row in (
        _few_shot("panda", "100-shot-panda", "heads of pandas", 100),
        _few_shot("grumpy-cat", "100-shot-grumpy_cat", "one cat", 100),
        _few_shot("obama", "100-shot-obama", "portraits of one man", 100),
        _few_shot("bridge-of-sighs", "100-shot-bridge_of_sighs", "one bridge", 100),
        _few_shot("medici-fountain", "100-shot-medici_fountain", "one fountain", 100),
        _few_shot("temple-of-heaven", "100-shot-temple_of_heaven", "one temple", 100),
        _few_shot("wuzhen", "100-shot-wuzhen", "one town", 100),
        _few_shot("animal-cat", "AnimalFace-cat", "faces of cats", 160),
        _few_shot("animal-dog", "AnimalFace-dog", "faces of dogs", 389),
        PublicSet(
            "afhq",
            "faces of cats, dogs and wild animals, 512 px",
            "https://www.dropbox.com/s/t9l9o3vsx2jai3z/afhq.zip?dl=1",
            16_130,
            _AFHQ_LICENCE,
            _AFHQ_PAGE,
        ),
        PublicSet(
            "afhq-v2",
            "the same, resized better, PNG",
            "https://www.dropbox.com/s/vkzjokiwof5h8w6/afhq_v2.zip?dl=1",
            15_803,
            _AFHQ_LICENCE,
            _AFHQ_PAGE,
        ),
        PublicSet(
            "flowers",
            "flowers of 102 kinds",
            f"{_OXFORD}flowers/102/102flowers.tgz",
            8_189,
            "",
            f"{_OXFORD}flowers/102/",
            "52808999861908f626f3c1f4e79d11fa",
        ),
        PublicSet(
            "pets",
            "cats and dogs of 37 breeds",
            f"{_OXFORD}pets/data/images.tar.gz",
            7_390,
            "Creative Commons BY-SA 4.0",
            f"{_OXFORD}pets/",
            "5c4f3ee8e5d25df40f4fd59a7f44e54c",
        ),
        PublicSet(
            "textures",
            "textures of 47 kinds (DTD)",
            f"{_OXFORD}dtd/download/dtd-r1.0.1.tar.gz",
            5_640,
            "made available for research purposes",
            f"{_OXFORD}dtd/",
            "fff73e5086ae6bdbea199a49dfb8a4c1",
        ),
        PublicSet(
            "metfaces",
            "faces in works of art, 1024 px",
            "https://drive.google.com/open?id=1iChdwdW7mZFUyivKtDwL8ehCNhYKQz6D",
            1_336,
            "Creative Commons BY-NC 2.0 (NVIDIA Corporation); the works themselves CC0",
            "https://github.com/NVlabs/metfaces-dataset",
            by_hand=True,
        ),
        PublicSet(
            "fastgan",
            "the small sets of the FastGAN paper in one archive: skulls, shells, paintings and more",
            "https://drive.google.com/file/d/1aAJCZbXNHyraJ6Mi13dSbe7pTyfPXha0/view",
            None,
            "",
            "https://arxiv.org/abs/2101.04775",
            by_hand=True,
        ),
    )
}


def public_set(name: str) -> PublicSet:
    """Find a public set by its name.

    Raises:
        UsageError: an unknown name.
    """
    if name not in PUBLIC_SETS:
        raise UsageError(f"there is no public set {name!r}; known are {', '.join(PUBLIC_SETS)}")
    return PUBLIC_SETS[name]
