"""Generated images as the Python API returns them: pixels with their names, which a notebook shows as a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from sase_gan.class_names import Mixture, in_words, written
from sase_gan.colours import Ground, learnt, shown
from sase_gan.drawing.recipes import Recipe
from sase_gan.files import write_atomically
from sase_gan.pixels import WHITE_KEY, to_pillow, write_png
from sase_gan.recombination.sources import origin_of, source_sheet
from sase_gan.sheets import SHEET, grid, named_rows
from sase_gan.sixteen_bits import FULL_WHITE


@dataclass(frozen=True, eq=False)
class Origins:
    """The origins of images: where each pixel came from.

    Attributes:
        sources: int32 `[n, height, width, 3]`, as in `recombination.drawn.Drawn`.
        pictures: uint8 `[N, 3, h, w]`, the training pictures; names: theirs, or none.
    """

    sources: Tensor
    pictures: Tensor
    names: tuple[str, ...] = ()

    def chosen(self, indices: list[int]) -> Origins:
        """Keep those of these images, in this order."""
        return replace(self, sources=self.sources[indices])

    def save(self, folder: Path, files: Sequence[str], pixels: Tensor) -> None:
        """Write a sheet and a JSON for each of these file names."""
        for file, image, sources in zip(files, pixels, self.sources, strict=False):
            origin = origin_of(sources, self.pictures)
            stem = folder / file.removesuffix(".png")
            write_png(Path(f"{stem}.sources.png"), source_sheet(image, sources, self.pictures, origin), SHEET)
            with write_atomically(Path(f"{stem}.sources.json")) as temporary:
                temporary.write_text(json.dumps(origin.to_json(self.names), indent=1))


@dataclass(frozen=True, eq=False)
class Images:
    """Generated images and how each came about; in a notebook the object shows itself as a grid.

    Attributes:
        pixels: uint8 `[n, 3, height, width]` on the CPU; one channel of a grey model, four of one with transparency.
        recipes: one an image: its seed or photograph and, of a variation, the moves away from it.
        text: what every PNG carries beside its own seed: the snapshot's hash, truncation and the like.
        model: the name of the snapshot that drew them.
        origins: where each pixel came from, of a model without training, if that was asked for.
        classes: as which each was drawn, in words; empty ones, or none, of models without classes.
        fine: 16 bits of grey ones, int16 as `sase_gan.sixteen_bits` says, which files get then; None where 8 are all.

    Example:
        >>> import torch
        >>> images = Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), tuple(map(Recipe, range(4))), {})
        >>> images, images[1:3].names, images[-1].pixels.shape
        (4 images of 8x8, ('1', '2'), torch.Size([1, 3, 8, 8]))
    """

    pixels: Tensor
    recipes: tuple[Recipe, ...]
    text: Mapping[str, str]
    model: str = ""
    origins: Origins | None = None
    classes: tuple[str, ...] = ()
    fine: Tensor | None = None

    def seen(self, ground: Ground = "checkerboard") -> Tensor:
        """Return them as they are seen, uint8 `[n, 3, height, width]`, where there is transparency on a ground."""
        return shown(learnt(self.pixels), ground)

    @property
    def names(self) -> tuple[str, ...]:
        """The images' names as `sample` takes them: `17`, or `17~50.3.2` for a variation."""
        return tuple(recipe.name for recipe in self.recipes)

    def __len__(self) -> int:
        return len(self.recipes)

    def __getitem__(self, index: int | slice) -> Images:
        every = range(len(self))
        # A negative one counts from the end; IndexError beyond it.
        return self.chosen([every[index]] if isinstance(index, int) else list(every[index]))

    def chosen(self, indices: list[int]) -> Images:
        """Keep these images, in this order."""
        origins = None if self.origins is None else self.origins.chosen(indices)
        recipes = tuple(self.recipes[index] for index in indices)
        classes = tuple(self.classes[index] for index in indices) if self.classes else ()
        fine = None if self.fine is None else self.fine[indices]
        pixels = self.pixels[indices]
        return replace(self, pixels=pixels, recipes=recipes, origins=origins, classes=classes, fine=fine)

    def __iter__(self) -> Iterator[Images]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.pixels.shape[-2:]
        return f"{len(self)} image{'' if len(self) == 1 else 's'} of {width}x{height}"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        to_pillow(self.sheet()).save(buffer, format="PNG")
        return buffer.getvalue()

    def sheet(self) -> Tensor:
        """Lay them out as one picture uint8 `[3, h, w]`: where classes were asked for, a row for each with its name.

        Else as many rows as columns, or nearly.
        """
        rows: dict[str, list[int]] = {}
        for index, recipe in enumerate(self.recipes):
            rows.setdefault(in_words(recipe.classes) if recipe.classes else "", []).append(index)
        seen = self.seen()
        if set(rows) == {""}:
            return grid(seen)
        order = [index for row in rows.values() for index in row]
        return named_rows(seen[order], list(rows), [len(row) for row in rows.values()])

    def save(self, folder: Path | str, *, grid_only: bool = False) -> Path:
        """Write one PNG an image, and `grid.png` of all (`sheet`), whose path is returned.

        Each file says how it was drawn, so that it can be drawn again. With `origins`, `NAME.sources.png` shows each
        image's regions in the colours of the training pictures that they came from, and `NAME.sources.json` holds
        shares and regions.

        Raises:
            UsageError: a variation has so many steps that no file may be called so.
        """
        folder = Path(folder)
        files = [] if grid_only else [recipe.file_name() for recipe in self.recipes]  # all names before the first file
        classes = self.classes or ("",) * len(files)
        # A file of 16 bits says what is white: cameras' files use a part of them, which readers here find out.
        more = {} if self.fine is None else {WHITE_KEY: str(FULL_WHITE)}
        drawn = self.pixels if self.fine is None else self.fine
        for name, recipe, pixels, words in zip(files, self.recipes, drawn, classes, strict=False):
            own = {"picture": recipe.name} if recipe.moves or recipe.classes else {}
            own |= {"class": words} if words else {}
            write_png(folder / name, pixels, {**self.text, "seed": recipe.start, **own, **more})
        if self.origins is not None:
            self.origins.save(folder, files, self.seen("white"))
        write_png(folder / "grid.png", self.sheet(), {**SHEET, **self.text, "seeds": listed(self.recipes)})
        return folder / "grid.png"


def listed(recipes: Sequence[Recipe]) -> str:
    """Write the names as a list that `sample` reads, seeds in a row as a range.

    Example:
        >>> listed([Recipe(0), Recipe(4), Recipe(5), Recipe(6), Recipe(9)])
        '0,4-6,9'
    """
    parts: list[str] = []
    row: list[int] = []
    classes: Mixture = ()

    def close() -> None:
        behind = written(classes)
        parts.extend([f"{row[0]}-{row[-1]}{behind}"] if len(row) > 2 else [f"{seed}{behind}" for seed in row])
        row.clear()

    for recipe in recipes:
        named = recipe.moves or recipe.inversion
        if named or (row and (recipe.seed != row[-1] + 1 or recipe.classes != classes)):
            close()
        classes = recipe.classes
        if named:
            parts.append(recipe.name)
        else:
            row.append(recipe.seed)
    close()
    return ",".join(parts)
