"""Generated images as the Python API returns them: pixels with their names, which a notebook shows as a picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sase_gan.pixels import grid, to_pillow, write_png


@dataclass(frozen=True, eq=False)
class Images:
    """Generated images and what each is called; in a notebook the object shows itself as a grid.

    Attributes:
        pixels: uint8 `[n, 3, height, width]` on the CPU.
        names: one an image, such as `17`: the seed, or the recipe of a variation.
        text: what every PNG carries beside its own name: the snapshot's hash, truncation and the like.

    Example:
        >>> import torch
        >>> images = Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), ("0", "1", "2", "3"), {})
        >>> len(images), images[1:3].names, images[0].pixels.shape
        (4, ('1', '2'), torch.Size([1, 3, 8, 8]))
    """

    pixels: Tensor
    names: tuple[str, ...]
    text: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int | slice) -> Images:
        if isinstance(index, int):
            index = range(len(self))[index]  # a negative one counts from the end; IndexError beyond it
            index = slice(index, index + 1)
        return Images(self.pixels[index], self.names[index], self.text)

    def __iter__(self) -> Iterator[Images]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.pixels.shape[-2:]
        return f"{len(self)} images of {width}x{height}"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        to_pillow(grid(self.pixels)).save(buffer, format="PNG")
        return buffer.getvalue()

    def save(self, folder: Path | str, *, only_grid: bool = False) -> Path:
        """Write one PNG an image and `grid.png` of all; return the grid's path.

        Each file carries its name and the snapshot's hash, so that the image can be drawn again.
        """
        folder = Path(folder)
        if not only_grid:
            for pixels, name in zip(self.pixels, self.names, strict=True):
                write_png(folder / f"{file_stem(name)}.png", pixels, {**self.text, "seed": name})
        return self.save_grid(folder / "grid.png", self.names)

    def save_grid(self, path: Path, names: Sequence[str]) -> Path:
        """Write all images as one PNG, which carries `names` as its text."""
        write_png(path, grid(self.pixels), {**self.text, "seeds": ",".join(names)})
        return path


def file_stem(name: str) -> str:
    """The file name of an image without its suffix: `seed000017` for `17`."""
    return f"seed{int(name):06d}"
