"""Drawing images by seed from a model, whatever it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sase_gan.api.control import make_control
from sase_gan.api.images import Images, Origins
from sase_gan.api.models import HasFolder, find_snapshot, load
from sase_gan.api.progress import shown
from sase_gan.class_names import Mixture, check_known, in_words
from sase_gan.colours import shown as on_ground
from sase_gan.drawing import applications
from sase_gan.drawing.recipes import Recipe, draw_recipes, parse_names
from sase_gan.drawing.sampling import NoiseMode, check_seeds
from sase_gan.errors import UsageError
from sase_gan.networks.conditioning import names_of
from sase_gan.networks.finished import FinishedGenerator
from sase_gan.networks.load import Network, recombiner_of
from sase_gan.networks.pyramid import Pyramid
from sase_gan.progress import Count, named
from sase_gan.recombination.control import Control
from sase_gan.recombination.model import LARGEST_VARIETY, Recombiner
from sase_gan.sixteen_bits import narrowed
from sase_gan.snapshot import snapshot_digest


def sample(
    model: Network | Path | str | HasFolder,
    seeds: str | Iterable[int] = range(16),
    *,
    classes: str | Sequence[str] = (),
    truncation: float = 1.0,
    noise: NoiseMode = "random",
    size: tuple[int | None, int | None] | None = None,
    start_scale: int = 0,
    finished_stages: int | None = None,
    unfinished: bool = False,
    variety: float | None = None,
    sources: bool = False,
    control: Mapping[str, Any] | None = None,
    bits: int = 8,
    batch_size: int = 8,
    device: str = "auto",
    progress: Count | bool = True,
) -> Images:
    """Draw one image for each seed, or one for each seed and class.

    Args:
        model: a network, or anything that `load` takes, or what `train` returned.
        seeds: whole numbers, or text such as `"0-15,17~50.3.2"`, which also names variations; a photograph that was
            brought into the model is named by the file of its recipe.
        classes: names of classes, of a model with classes; each seed is drawn as each of them. "all" stands for all.
            Where none is named, here or in the seeds, a seed has a class of its own; an instant model draws from all
            its pictures.
        truncation: 0 to 2; below 1 images are more typical and less varied: a generator's first map is drawn towards
            its mean.
        noise: "random", each image has its own; "fixed", all share that of seed 0; "off", none.
        size: height and width in pixels, for a model of one picture, which draws any; None for a side keeps the
            model's own.
        start_scale: stages before it draw the training picture, for a model of one picture.
        finished_stages: at so many of the finest stages patches of the training picture replace those drawn, for a
            model of one picture; the model's own number if None.
        variety: of a model without training: below 1 larger pieces of the training pictures stay together, above 1
            pieces are smaller; the model's own if None.
        sources: of a model without training: also keep where each pixel came from; `save` then writes a sheet and a
            JSON beside each image.
        control: of a model without training: the arguments of `api.control.make_control`.
        bits: 16 writes grey PNGs of 16 bits, of a network that learned from a set of grey pictures.
        device: where the model is put if it is not loaded yet.
        progress: True shows a bar, False nothing; or a function of (done, total).

    Raises:
        DataError: if there is no such model.
        UsageError: for seeds that are not understood, or a class or an option that this model does not have.

    Example:
        `sase_gan.sample("runs/faces-001", seeds=range(16)).save("samples")`
    """
    if bits not in (8, 16):
        raise UsageError(f"bits is {bits}; it must be 8 or 16")
    settings: dict[str, Any] = {"truncation": truncation, "noise": noise}
    recipes = tuple(replace(recipe, **settings) for recipe in _recipes(seeds))
    network, name, digest = _opened(model, device)
    recipes = _of_classes(network, recipes, [classes] if isinstance(classes, str) else list(classes))
    for recipe in recipes:
        recipe.check_snapshot(digest)
    # What only a model of one picture can do.
    finished_stages = _stages(network, finished_stages, unfinished)
    own = {"size": size, "start_scale": start_scale or None, "finished_stages": finished_stages}
    told = {"snapshot": digest, **settings, **own, "size": None, "variety": variety}
    told["unfinished"] = "yes" if unfinished else None
    text = {name: str(value) for name, value in told.items() if value is not None}
    resizable = _resizable(network, own)
    held = None if control is None else _controlled(network, control)
    maps: list[Tensor] | None = [] if sources else None
    bars = progress if isinstance(progress, bool) else lambda what, done, total: progress(done, total)
    with shown(bars) as bar, _finished(network, finished_stages), _varied(network, variety):
        advance = named(bar, "drawing")
        if resizable is None or not (size or start_scale):
            how: dict[str, Any] = {"sources": maps, "control": held, "ground": "file"}
            how |= {"finish": not unfinished, "sixteen": bits == 16}
            pixels = draw_recipes(network, recipes, batch_size=batch_size, progress=advance, **how)
        else:
            _check_resized(truncation, bits, asked=sources or control is not None or any(r.classes for r in recipes))
            height, width = size or (None, None)
            own_pictures = applications.sample(
                resizable,
                [recipe.seed_alone() for recipe in recipes],
                size=(height or resizable.size[0], width or resizable.size[1]),
                start_scale=start_scale,
                noise=noise,
                batch_size=batch_size,
                progress=advance,
            )
            pixels = on_ground(own_pictures, "file")
    origins = _origins(network, maps)
    classes_drawn = tuple(map(partial(class_words, network), recipes))
    fine = pixels if bits == 16 else None
    return Images(pixels if fine is None else narrowed(fine), recipes, text, name, origins, classes_drawn, fine)


def _origins(network: Network, maps: Sequence[Tensor] | None) -> Origins | None:
    """Gather where each pixel came from, if that was asked for."""
    patches = recombiner_of(network)
    if not maps or patches is None:
        return None
    return Origins(torch.cat(list(maps)), patches.seen_pictures.cpu(), patches.config.names)


def _check_resized(truncation: float, bits: int, *, asked: bool) -> None:
    """Refuse what is of the trained size, where another one, or another first stage, is asked for."""
    if bits == 16:
        raise UsageError("bits is 16, which only networks of a set with --colours grey draw; leave it out")
    if truncation != 1:
        raise UsageError(
            f"truncation is {truncation}, which keeps the trained size and begins at scale 0; leave it out, or "
            "leave out size and start_scale"
        )
    if asked:
        raise UsageError(
            "sources, controls and classes are of the trained size; leave them out, or size and start_scale"
        )


def _of_classes(network: Network, recipes: Sequence[Recipe], asked: Sequence[str]) -> tuple[Recipe, ...]:
    """Give pictures the classes that are asked for, each in turn, and refuse those that the model does not have."""
    names = names_of(network)
    wanted = list(names) if list(asked) == ["all"] and "all" not in names and names else asked
    if wanted and any(recipe.classes for recipe in recipes):
        named = next(recipe.name for recipe in recipes if recipe.classes)
        raise UsageError(f"seeds names a class ({named}) and classes does too; leave one out")
    mixtures: list[Mixture] = [((name, 100),) for name in dict.fromkeys(wanted)] or [()]
    found = tuple(replace(one, classes=mixture or one.classes) for mixture in mixtures for one in recipes)
    for recipe in found:
        check_known(names, recipe.classes)
    return found


def class_words(network: Network, recipe: Recipe) -> str:
    """Say the class that a picture is drawn as; empty of a model without classes, or one that draws from all."""
    weights = recipe.class_weights(network)
    if weights is None:
        return ""
    return in_words(
        tuple((name, round(100 * w)) for name, w in zip(names_of(network), weights.tolist(), strict=True) if w)
    )


def _recipes(seeds: str | Iterable[int]) -> Sequence[Recipe]:
    if isinstance(seeds, str):
        return parse_names(seeds, files=True)
    found = [Recipe(int(seed)) for seed in seeds]
    check_seeds([recipe.seed for recipe in found])
    return found


def _opened(model: Network | Path | str | HasFolder, device: str) -> tuple[Network, str, str | None]:
    """The network, the model's name, and its snapshot's hash, which a network that is handed over does not know."""
    if isinstance(model, Network):
        return model, "a model in memory", None
    folder = find_snapshot(model)
    return load(folder, device=device), folder.name, snapshot_digest(folder)


def _stages(network: Network, stages: int | None, unfinished: bool) -> int | None:
    """Return at how many stages a pyramid is finished, None as configured; refuse `unfinished` where nothing is."""
    if not unfinished:
        return stages
    if isinstance(network, Pyramid) and stages is None:
        return 0
    if not isinstance(network, FinishedGenerator):
        raise UsageError("unfinished: this model's pictures are not finished with patches; leave it out")
    return stages


def _resizable(network: Network, given: dict[str, Any]) -> Pyramid | Recombiner | None:
    """The network if it draws any size, else None; what only such a model can do is refused then."""
    wrong = [name for name, value in given.items() if value is not None]
    if isinstance(network, Pyramid):
        return network
    if isinstance(network, Recombiner) and network.config.form == "free" and "finished_stages" not in wrong:
        return network
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: only models of one picture can do this; this model draws its own size alone"
        )
    return None


def _controlled(network: Network, control: Mapping[str, Any]) -> Control:
    if not isinstance(network, Recombiner):
        raise UsageError(
            "a control was given, which only a model without training has; make one with: sase-gan train PATH "
            "--preset instant"
        )
    return make_control(network, **control)


@contextmanager
def _varied(network: Network, variety: float | None) -> Iterator[None]:
    """Within the block a model without training draws with this variety."""
    if variety is None:
        yield
        return
    if not isinstance(network, Recombiner):
        raise UsageError(f"variety is {variety}; only a model without training has it: leave it out")
    if not 0 < variety <= LARGEST_VARIETY:
        raise UsageError(f"variety is {variety}; it must be over 0 and at most {LARGEST_VARIETY:g} (1 is usual)")
    before, network.variety = network.variety, variety
    try:
        yield
    finally:
        network.variety = before


@contextmanager
def _finished(pyramid: Network, stages: int | None) -> Iterator[None]:
    """Within the block a pyramid finishes so many stages; a network that was handed over comes back as it was."""
    if not isinstance(pyramid, Pyramid) or stages is None:
        yield
        return
    before, pyramid.finished_stages = pyramid.finished_stages, stages
    try:
        yield
    finally:
        pyramid.finished_stages = before
