"""The pictures of an evaluation are read or drawn here, generated and real, with what the record says of them.

This joins the parts that must not know each other: networks and drawing on one side, metrics on the other.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sase_gan.colours import seen
from sase_gan.config import parse_share
from sase_gan.datasets.classes import labelled, read_labels
from sase_gan.datasets.images import ImageSet, load_image_set, split_holdout
from sase_gan.datasets.notes import losses_in_words
from sase_gan.datasets.sources import ImageSource, open_images
from sase_gan.drawing.sampling import own_classes, sample_images
from sase_gan.drawing.training_mode import SCORED_SIDE, sample_in_training_mode
from sase_gan.drawing.walks import latent_walk
from sase_gan.errors import DataError, UsageError
from sase_gan.evaluation.options import Plan
from sase_gan.evaluation.recombination import origins_of, recombination_facts, with_maps
from sase_gan.metrics.records import DataPart, FakesPart, ModelPart
from sase_gan.metrics.request import NOISE_IN_TRAINING_MODE
from sase_gan.networks.conditioning import names_of
from sase_gan.networks.load import load_network, own_picture, recombiner_of, training_facts
from sase_gan.progress import Count, Progress, named
from sase_gan.runs.classes import checked_source
from sase_gan.runs.folder import images_of
from sase_gan.snapshot import snapshot_digest

WALKS = 8
WALK_STEPS = 8
TRUNCATED_PICTURES = 32
TRUNCATION_SHOWN = 0.7
# Pictures of one scene may differ by a few pixels between programs; more is another picture.
_LARGEST_TRIM = 2
_LARGEST_ASPECT_DIFFERENCE = 0.05


@dataclass(frozen=True)
class RealLabels:
    """The classes of real pictures and of those held out, as indices into the model's."""

    reals: tuple[int, ...]
    held_out: tuple[int, ...] | None


@dataclass(frozen=True)
class RealPictures:
    """Real pictures, uint8 [N, 3, H, W], stand here with those that the generator never saw."""

    images: Tensor
    names: tuple[str, ...]
    facts: DataPart
    notes: tuple[str, ...] = ()
    holdout: Tensor | None = None
    labels: RealLabels | None = None


@dataclass(frozen=True)
class GeneratedPictures:
    """Generated pictures, uint8 [F, 3, H, W], stand here with what is known of them.

    Attributes:
        model: of the snapshot that drew them, where one did.
        truncated: further ones at a smaller truncation.
        walks: pictures along walks between latents, uint8 [W, K, 3, H, W].
        learned_from: the one picture that the snapshot holds, where it learned from one.
        maps: of a model without training, pictures beside their regions in colours, uint8 [M, 3, H, 2 W].
        classes, labels: the classes of the model, and as which each picture was drawn.
    """

    images: Tensor
    names: tuple[str, ...]
    facts: FakesPart
    notes: tuple[str, ...] = ()
    model: ModelPart | None = None
    truncated: Tensor | None = None
    walks: Tensor | None = None
    learned_from: RealPictures | None = None
    maps: Tensor | None = None
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()


# --- generated pictures -----------------------------------------------------------------------------------------------


def generated_pictures(plan: Plan, progress: Progress | None = None) -> GeneratedPictures:
    """Read or draw the generated pictures.

    Raises:
        UsageError: a size for a snapshot's pictures.
        DataError: pictures that cannot be used.
    """
    if plan.snapshot:
        return _draw(plan, progress)
    path, count = plan.options.source, plan.protocol.num_fakes
    found = open_images(path, background=plan.background, drawn=True)
    asked = SCORED_SIDE if plan.as_fastgan else plan.options.image_size
    image_size, notes = _settled_size(found, count, path, asked)
    told = named(progress, "reading generated pictures")
    images = load_image_set(found, image_size=image_size, fit=plan.fit, max_images=count, progress=told)
    if len(found) > count:
        notes.append(
            f"{path.name} holds {len(found):,} pictures; the first {count:,} by name were measured "
            f"(--count {len(found)} takes all)."
        )
    # Brought to a common size on purpose or with a note, pictures are not called enlarged once more.
    notes += _picture_notes(images, path, enlarged=image_size is None)
    facts = FakesPart(source="folder", name=path.resolve().name)
    return GeneratedPictures(images.images, images.names, facts, tuple(notes))


def _draw(plan: Plan, progress: Progress | None) -> GeneratedPictures:
    options, protocol = plan.options, plan.protocol
    if options.image_size is not None:
        raise UsageError("--image-size has no effect on a snapshot, whose pictures have their own size; leave it out.")
    network: Any = load_network(options.source).to(plan.device)
    seeds = range(options.seed, options.seed + protocol.num_fakes)
    told = named(progress, "generating pictures")
    sources: list[Tensor] | None = None
    shares: list[Tensor] | None = None
    patches = None if plan.as_fastgan else recombiner_of(network)
    if patches is not None:
        sources, shares = [], []
    if plan.as_fastgan:
        images = sample_in_training_mode(network, seeds, truncation=protocol.truncation, progress=told)
    else:
        images = sample_images(
            network,
            seeds,
            truncation=protocol.truncation,
            progress=told,
            sources=sources,
            shares=shares,
            ground="white",
            by_class=True,
        )
    drawn = own_classes(network, seeds, by_class=True)
    model, maps = _model_facts(plan, network), None
    if patches is not None and sources and shares:
        training, where = patches.pictures.cpu(), torch.cat(sources)
        origins = origins_of(where, training)
        facts = recombination_facts(origins, torch.cat(shares).mean(0))
        model, maps = model.model_copy(update={"recombination": facts}), with_maps(images, where, training, origins)
    truncated = walks = learned_from = None
    if plan.of_one_picture:
        learned_from = _own_picture(network)
    elif not plan.as_fastgan:
        if protocol.truncation > TRUNCATION_SHOWN:
            how: dict[str, Any] = {"truncation": TRUNCATION_SHOWN, "ground": "white", "by_class": True}
            truncated = sample_images(network, seeds[:TRUNCATED_PICTURES], **how)
        if plan.request.wants_group("smoothness"):
            pairs = [(options.seed + 2 * walk, options.seed + 2 * walk + 1) for walk in range(WALKS)]
            walks = torch.stack([latent_walk(network, pair, steps=WALK_STEPS) for pair in pairs])
    return GeneratedPictures(
        images,
        tuple(f"seed {seed}" for seed in seeds),
        FakesPart(source="snapshot", name=options.source.resolve().name),
        model=model,
        truncated=truncated,
        walks=walks,
        learned_from=learned_from,
        maps=maps,
        classes=names_of(network),
        labels=() if drawn is None else tuple(drawn.argmax(1).tolist()),
    )


def _own_picture(network: Any) -> RealPictures:
    data = dict(network.provenance.get("data") or {})
    name = str(data.get("name") or "training picture")
    facts = DataPart(name=Path(name).stem, path_name=name, licence=data.get("licence"), mirror=False)
    return RealPictures(own_picture(network)[None], (name,), facts)


def _model_facts(plan: Plan, network: Any) -> ModelPart:
    provenance = dict(getattr(network, "provenance", {}) or {})
    name = plan.options.source.resolve().name
    return ModelPart(
        snapshot=name,
        digest=snapshot_digest(plan.options.source),
        images_seen=provenance.get("images_seen", images_of(name)),
        averaged=provenance.get("averaged"),
        truncation=plan.protocol.truncation,
        seed=plan.options.seed,
        noise=NOISE_IN_TRAINING_MODE if plan.as_fastgan else plan.protocol.noise,
        extractor_used_in_training=provenance.get("extractor_used_in_training"),
        taught_by=provenance.get("taught_by"),
        started_from=provenance.get("started_from"),
        finished=provenance.get("finished"),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
    )


def _settled_size(found: ImageSource, count: int, path: Path, asked: int | None) -> tuple[int | None, list[str]]:
    """Where sizes are mixed and none was asked for, that of most pictures, and a note."""
    if asked is not None:
        return asked, []
    names = found.names[:count]
    sizes = [_file_size(found, index) for index in range(len(names))]
    known = Counter(size for size in sizes if size is not None)
    if len(known) < 2:
        return None, []
    (width, height), most = max(known.items(), key=lambda item: (item[1], -item[0][0] * item[0][1]))
    if width != height:
        return None, []  # rectangles cannot be brought to one size without a choice; reading them says so
    others = sum(known.values()) - most
    example = next(index for index, size in enumerate(sizes) if size not in (None, (width, height)))
    was = sizes[example]
    assert was is not None
    return width, [
        f"{_counted(most, 'picture')} in {path.name} {'are' if most > 1 else 'is'} {width} x {height} and "
        f"{_counted(others, 'other')} not, such as {names[example]} ({was[0]} x {was[1]}); all were measured at "
        f"{width} x {height}: leave out what is no sample, or choose a size with --image-size."
    ]


def _file_size(source: ImageSource, index: int) -> tuple[int, int] | None:
    """Width and height by a picture's header, upright; None when it cannot be read, which loading will tell."""
    try:
        with source.open(index) as file, Image.open(file) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (width, height)
    except Exception:  # what a damaged file raises differs by format
        return None


# --- real pictures ----------------------------------------------------------------------------------------------------


def real_pictures(plan: Plan, path: Path, like: Tensor, progress: Progress | None = None) -> RealPictures:
    """Read the real pictures at a path, at the size of generated ones [F, 3, H, W], and part off those held out.

    Raises:
        UsageError: a holdout that is neither a share nor a folder.
        DataError: pictures that cannot be used, or that are of another size.
    """
    size = (int(like.shape[-2]), int(like.shape[-1]))
    found = at_size(path, size, plan, named(progress, "reading real pictures"))
    found, unlabelled = _with_labels(found, path, plan)
    apart: ImageSet | None = None
    if plan.options.holdout is not None:
        found, apart = _parted(found, plan.options.holdout, plan, size)
    held = None if apart is None else apart.images
    facts = DataPart(
        name=path.resolve().stem,
        path_name=path.name,
        licence=plan.options.licence,
        mirror=False,
        jpeg_sources=found.notes.jpeg_sources,
        holdout=0 if held is None else len(held),
    )
    labels = RealLabels(found.labels, None if apart is None else apart.labels or None) if found.labels else None
    return RealPictures(found.images, found.names, facts, (*_picture_notes(found, path), *unlabelled), held, labels)


def _with_labels(found: ImageSet, path: Path, plan: Plan) -> tuple[ImageSet, list[str]]:
    """Give real pictures the classes that the model knows, by the way in which they had them in training.

    Returns:
        the pictures, and a note where they have none, or others.
    """
    facts = training_facts(plan.options.source).get("classes") if plan.snapshot else None
    if not isinstance(facts, dict):
        return found, []
    why = "they are others than the model's"
    try:
        labels = read_labels(open_images(path), checked_source(str(facts.get("source"))))
        if set(labels.classes) == set(facts.get("counts", {})):
            return labelled(found, labels), []
    except (DataError, UsageError) as error:
        why = str(error)
    return found, [f"Figures by class were left out, because the real pictures have no classes to compare with: {why}."]


def at_size(path: Path, size: tuple[int, int], plan: Plan, progress: Count | None = None) -> ImageSet:
    """Read the pictures at a path, brought to height and width as far as that is no choice.

    Raises:
        DataError: pictures that cannot be used, or that are too far from that size.
    """
    height, width = size
    # What draws in grey is compared with its pictures in grey.
    grey = plan.snapshot and training_facts(plan.options.source).get("colours") == "grey"
    found = load_image_set(
        path,
        # A model of a set draws what its pictures were fitted to; other rectangles are compared as they are.
        image_size=size if height == width or (plan.snapshot and not plan.of_one_picture) else None,
        fit=plan.fit,
        background=plan.background,
        colours="grey" if grey else "rgb",
        progress=progress,
    )
    found = dataclasses.replace(found, images=seen(found.images).contiguous())
    if tuple(found.images.shape[-2:]) == size:
        return found
    real_height, real_width = found.images.shape[-2:]
    if 0 <= real_height - height <= _LARGEST_TRIM and 0 <= real_width - width <= _LARGEST_TRIM:
        # Programs round sizes differently. Resampling by a pixel would blur; unequal sizes would be worse, since early
        # features of odd and even sides alone are 40 to 80 apart in sifd_efflite0.
        return dataclasses.replace(found, images=found.images[..., :height, :width].contiguous())
    if len(found) > 1 or abs(real_width / real_height / (width / height) - 1) > _LARGEST_ASPECT_DIFFERENCE:
        raise DataError(
            f"The generated pictures are {width} x {height} and those in {path} {real_width} x {real_height}; prepare "
            "both at one size, for example with --image-size."
        )
    return dataclasses.replace(found, images=resized(found.images, height, width))


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Bring uint8 pictures to another size, bicubic with antialiasing."""
    if tuple(images.shape[-2:]) == (height, width):
        return images
    x = F.interpolate(images.float(), size=(height, width), mode="bicubic", antialias=True)
    return x.round().clamp(0, 255).to(torch.uint8)


def _parted(found: ImageSet, text: str, plan: Plan, size: tuple[int, int]) -> tuple[ImageSet, ImageSet]:
    if Path(text).exists():
        held = at_size(Path(text), size, plan)
        return found, _with_labels(held, Path(text), plan)[0] if found.labels else held
    try:
        share = parse_share(text)
    except UsageError:
        raise UsageError(f"holdout is {text!r}; give a share such as 10% or 0.1, or an existing folder.") from None
    return split_holdout(found, share, plan.options.holdout_seed)


def _picture_notes(found: ImageSet, path: Path, *, enlarged: bool = True) -> list[str]:
    notes, name = [], path.resolve().name
    if found.notes.jpeg_sources:
        notes.append(
            f"{found.notes.jpeg_sources} of {len(found)} pictures in {name} are JPEG; compare figures with those of "
            "pictures stored alike."
        )
    if found.notes.upscaled and enlarged:
        notes.append(f"{len(found.notes.upscaled)} of {len(found)} pictures in {name} were enlarged.")
    if len(found.notes.snapshots) > 1:
        parts = ", ".join(
            f"{count:,} of {digest[:8] or 'a model in memory'}" for digest, count in found.notes.snapshots
        )
        notes.append(
            f"{name} mixes pictures of {len(found.notes.snapshots)} snapshots ({parts}): figures are of the mixture; "
            "draw each snapshot's into a folder of its own."
        )
    return [*notes, *(f"{name}: {line}." for line in losses_in_words(found.notes, len(found)))]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
