"""Bringing photographs into a model, so that they can be varied, walked to and mixed like any picture of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from sase_gan.api.images import Images
from sase_gan.api.models import HasFolder, find_snapshot, load
from sase_gan.api.progress import shown
from sase_gan.api.training_pictures import run_of, training_pictures
from sase_gan.datasets.images import load_as_trained, pixel_digest
from sase_gan.drawing.inversions import SUFFIX
from sase_gan.drawing.inverting import SPACES, Inverted, InvertingSettings, distances_between
from sase_gan.drawing.inverting import invert as bring_in
from sase_gan.drawing.recipes import Recipe
from sase_gan.drawing.sampling import sample_images
from sase_gan.errors import DataError, UsageError
from sase_gan.files import write_atomically
from sase_gan.metrics.feature_store import default_cache_folder
from sase_gan.networks.generator import Generator
from sase_gan.networks.load import Network, training_facts
from sase_gan.progress import Progress, named
from sase_gan.seeds import generator as random_generator
from sase_gan.sheets import write_sheet
from sase_gan.snapshot import snapshot_digest

Answer = Literal["shown", "in part", "not shown", "not judged"]
_COMPARED = 64
"""So many pictures at most say how far one picture is from another."""


@dataclass(frozen=True)
class Reach:
    """How near a model comes to pictures that it should be able to show, which is what a photograph is held against.

    Attributes:
        whose: "training pictures", or "the model's own pictures" where those are not at hand.
        distances: perceptual distances at which some of them were brought into the model.
        apart: the median distance of such pictures to their nearest other one; what comes no nearer than that to a
            photograph is another picture.
    """

    whose: str
    distances: tuple[float, ...]
    apart: float

    def answer(self, distance: float) -> Answer:
        """Say whether a model shows a photograph that it comes so near to."""
        if distance >= self.apart:
            return "not shown"
        return "shown" if distance <= max(self.distances) else "in part"

    def sentence(self, distance: float, latent: float | None = None) -> str:
        """Say in words how near that is, and whether the latent alone, which came so near as `latent`, says it.

        A network that was trained for a short time draws much from a first map that no latent gives.
        """
        answer = self.answer(distance)
        strange = answer != "not shown" and latent is not None and latent >= self.apart
        more = (
            f"; the latent alone gives another picture ({latent:.3f}), so variations may lead away" if strange else ""
        )
        count, low, high = len(self.distances), min(self.distances), max(self.distances)
        others = f"{count} of {self.whose}, which it shows at {low:.3f} to {high:.3f}"
        return {
            "shown": f"at {distance:.3f}, as near as {others}",
            "in part": f"at {distance:.3f}, farther than {others}, but nearer than another picture would be "
            f"({self.apart:.3f})",
            "not shown": f"at {distance:.3f}, no nearer than another picture would be ({self.apart:.3f}): this model "
            "cannot show it",
        }[answer] + more


@dataclass(frozen=True, eq=False)
class Inversions:
    """Photographs that were brought into a model.

    Attributes:
        images: what the model draws of them; their recipes can be moved, walked to and mixed like those of seeds.
        photographs: uint8 `[n, 3, height, width]`, as the model was asked for them.
        names: of the photographs.
        found: distances and the like.
        reach: what they are held against, if that was asked for.
    """

    images: Images
    photographs: Tensor
    names: tuple[str, ...]
    found: Inverted
    reach: Reach | None

    def __repr__(self) -> str:
        return "\n".join(self.sentences())

    def answers(self) -> list[Answer]:
        """Say of each photograph whether the model shows it."""
        return [
            "not judged" if self.reach is None else self.reach.answer(distance)
            for distance in self.found.distances.tolist()
        ]

    def sentences(self) -> list[str]:
        """Say of each photograph in words how near the model comes."""
        said = []
        figures = zip(self.found.distances.tolist(), self.found.by_space[SPACES[0]].tolist(), strict=True)
        for name, answer, (distance, latent) in zip(self.names, self.answers(), figures, strict=True):
            near = f"at {distance:.3f}" if self.reach is None else self.reach.sentence(distance, latent)
            said.append(f"{name}: {answer}, {near}")
        return said

    def save(self, folder: Path | str) -> Path:
        """Write of each photograph its recipe and what is drawn from it, `inverted.json` and a sheet.

        Returns:
            the sheet, photographs above what the model makes of them.
        """
        folder = Path(folder)
        for recipe in self.images.recipes:
            assert recipe.inversion is not None
            recipe.inversion.save(folder / f"{recipe.inversion.stem}{SUFFIX}")
        self.images.save(folder)
        rows = []
        for index, (name, answer) in enumerate(zip(self.names, self.answers(), strict=True)):
            spaces = {space: round(values[index].item(), 4) for space, values in self.found.by_space.items()}
            row: dict[str, Any] = {"photograph": name, "recipe": Path(self.images.recipes[index].name).name}
            row |= {"distance": round(self.found.distances[index].item(), 4), "by space": spaces}
            rows.append(row | {"levels": round(self.found.levels[index].item(), 1), "answer": answer})
        record: dict[str, Any] = {"snapshot": self.images.text.get("snapshot"), "photographs": rows}
        record["reach"] = None if self.reach is None else asdict(self.reach)
        with write_atomically(folder / "inverted.json") as temporary:
            temporary.write_text(json.dumps(record, indent=1))
        sheet = folder / "sheet.png"
        parts = zip(self.photographs.split(8), self.images.pixels.split(8), strict=True)
        tiles = [_padded(tile, 8 if len(self.photographs) > 8 else 0) for pair in parts for tile in pair]
        write_sheet(sheet, torch.cat(tiles), columns=min(8, len(self.photographs)))
        return sheet


def invert(
    model: Network | Path | str | HasFolder,
    photographs: Path | str | Sequence[Path | str] | Tensor,
    *,
    out: Path | str = "inverted",
    real: Path | str | None = None,
    reach: int = 8,
    settings: InvertingSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | bool = True,
) -> Inversions:
    """Bring photographs into a generator: find what it draws them from, as near as it comes.

    Args:
        model: a generator, or anything that `load` takes, or what `train` returned.
        photographs: a picture, a folder or a zip, or several of them, which are cut as the training pictures were; or
            uint8 `[n, 3, height, width]` of the generator's own size.
        out: the folder that `save` will be given: recipes are named by their place in it.
        real: the training pictures, which say how near is near; None looks for them where the model says they were,
            and takes pictures of the model's own where they are not.
        reach: so many of these are brought in, too, for comparison, once for each model and kept in the cache; 0 asks
            for no judgement.
        settings: numbers of steps and the like.
        progress: True for bars, False for nothing, or a function that is told how far it is.

    Raises:
        DataError: no such model, or photographs that cannot be read.
        UsageError: a model that is no generator of a set of pictures.

    Example:
        `sase_gan.invert("runs/faces-001", "photo.jpg").save("inverted")`
    """
    settings = settings or InvertingSettings()
    if reach < 0:
        raise UsageError(f"reach is {reach}; it must be 0 or more (8 is usual)")
    network: Network = model if isinstance(model, Network) else load(model, device=device)
    folder = None if isinstance(model, Network) else find_snapshot(model)
    if not isinstance(network, Generator):
        raise UsageError(
            "this model was trained on one picture or not at all; photographs are brought into those by sase-gan "
            "inject, or by sase-gan recombine --from PHOTO"
        )
    if network.config.colours != "rgb":
        raise UsageError(
            f"this model's pictures are {network.config.colours}; photographs are brought into models of RGB pictures "
            "alone, since the features that tell how near one comes see three channels"
        )
    digest = None if folder is None else snapshot_digest(folder)
    facts = {} if folder is None else training_facts(folder)
    pixels, names = _photographs(photographs, network, facts)
    with shown(progress) as bars:
        found = bring_in(network, pixels, settings=settings, seed=seed, progress=named(bars, "inverting"))
        held_against = None
        if reach:
            held_against = _reach(network, folder, digest, facts, real, reach, settings, seed, named(bars, "comparing"))
    recipes = tuple(
        Recipe(
            0,
            inversion=replace(
                inversion,
                name=str(Path(out) / f"{stem}{SUFFIX}"),
                snapshot=digest or "",
                facts={"photograph": name, "distance": f"{distance:.4f}"},
            ),
        )
        for inversion, stem, name, distance in zip(
            found.inversions, _stems(names), names, found.distances.tolist(), strict=True
        )
    )
    text = {"truncation": "1.0", "noise": "random"} | ({} if digest is None else {"snapshot": digest})
    images = Images(found.pixels, recipes, text, "a model in memory" if folder is None else folder.name)
    return Inversions(images, pixels, names, found, held_against)


def _photographs(
    photographs: Path | str | Sequence[Path | str] | Tensor, network: Generator, facts: dict[str, Any]
) -> tuple[Tensor, tuple[str, ...]]:
    if isinstance(photographs, Tensor):
        return photographs, tuple(f"photograph-{index}" for index in range(len(photographs)))
    places = [photographs] if isinstance(photographs, str | Path) else list(photographs)
    if not places:
        raise UsageError("no photograph was given; name a picture, a folder or a zip")
    sets = [load_as_trained(place, network.config.picture_size, facts) for place in places]
    return torch.cat([found.images for found in sets]), tuple(name for found in sets for name in found.names)


def _stems(names: Sequence[str]) -> list[str]:
    """Name files after photographs, each by another name, without signs that have a meaning where names are typed.

    Example:
        >>> _stems(["a/cat,1.png", "b/cat,1.jpg", "7.png"])
        ['cat-1', 'cat-1-2', '7']
    """
    stems: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.")[:80] or "photograph"
        taken = sum(other == stem or re.fullmatch(rf"{re.escape(stem)}-\d+", other) is not None for other in stems)
        stems.append(f"{stem}-{taken + 1}" if taken else stem)
    return stems


def _reach(
    network: Generator,
    folder: Path | None,
    digest: str | None,
    facts: dict[str, Any],
    real: Path | str | None,
    count: int,
    settings: InvertingSettings,
    seed: int,
    progress: Any,
) -> Reach:
    whose, pictures = "the training pictures", None
    if real is not None:
        pictures = load_as_trained(real, network.config.picture_size, facts).images
    elif folder is not None:
        with suppress(DataError):
            pictures = training_pictures(run_of(folder), facts, network.config.picture_size).images
    if pictures is None or len(pictures) < 2:
        if real is not None:
            raise DataError(f"{real} holds one picture; how far pictures are apart is told by two or more")
        seeds = [int(random_generator(seed, "own pictures", index).initial_seed() % 2**31) for index in range(32)]
        whose, pictures = "the model's own pictures", sample_images(network, seeds)
    state = hashlib.sha256()
    for part in (str(digest), pixel_digest(pictures), settings.model_dump_json(), str(seed), str(count), "1"):
        state.update(f"{part}\n".encode())
    kept = default_cache_folder() / "reach" / f"{state.hexdigest()[:40]}.json"
    if digest is not None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(kept.read_text())
            return Reach(str(record["whose"]), tuple(map(float, record["distances"])), float(record["apart"]))
    chosen = _evenly(pictures, count)
    found = bring_in(network, chosen, settings=settings, seed=seed, progress=progress)
    apart = distances_between(_evenly(pictures, _COMPARED)).min(1).values.median().item()
    reach = Reach(whose, tuple(round(value, 4) for value in found.distances.tolist()), round(apart, 4))
    if digest is not None:
        with suppress(OSError), write_atomically(kept) as temporary:
            temporary.write_text(json.dumps(asdict(reach)))
    return reach


def _evenly(pictures: Tensor, count: int) -> Tensor:
    return pictures[torch.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().long()]


def _padded(tiles: Tensor, count: int) -> Tensor:
    """Fill a row of a sheet with white."""
    missing = max(0, count - len(tiles))
    return torch.cat([tiles, tiles.new_full((missing, *tiles.shape[1:]), 255)]) if missing else tiles
