"""The catalogue of metrics has one row for each, with every fact about it that is no computation.

For a newcomer: FD (Fréchet distance) and KID (kernel distance) say how far the generated pictures are, as a whole, from
the real ones, in the features of a frozen network; FD on Inception is the field's FID. Both are best for copies of the
training pictures, so the figures of copying, which look for generated pictures that repeat a training picture, come
before them in every reading.

A new metric needs three places: its own file, which computes it; its row here; and the line that calls it. Its name in
records, its title and place in all tables, what `--metrics` understands, and its sentence for a newcomer follow from
the row; `figures` makes names and titles of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "target"]
Space = Literal["mid", "pixels"]
SPACES: tuple[Space, ...] = ("mid", "pixels")
"""Descriptions in which copies are looked for, see `extractors`."""

Group = Literal["distribution", "patches", "copying", "regions", "diversity", "smoothness", "single"]
GROUPS: tuple[Group, ...] = ("distribution", "patches", "copying", "regions", "diversity", "smoothness", "single")
"""What can be asked for as a whole, and is computed together."""

Section = Literal["distance", "coverage", "single", "copying", "regions", "diversity", "smoothness", "other"]
SECTION_TITLES: Mapping[Section, str] = {
    "distance": "How far the generated pictures are from the real ones",
    "coverage": "How good each generated picture is, how much of the set they cover",
    "single": "Against the one training picture",
    "copying": "Copying",
    "regions": "Regions of training pictures",
    "diversity": "How much the generated pictures differ from each other",
    "smoothness": "Between two latents",
    "other": "Other measurements",
}
"""The headings of all tables, in their order."""

FEWEST_FOR_KID = 50
"""With fewer real pictures KID is unreliable (simulated: at 10 it is off by more than 0.1)."""
COPY_RATE_LIMIT = 0.75
"""From this copy rate on a picture counts as copied, see the anchors in `single_image.copy_rate`."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A network on whose features metrics are measured: its title, and how names of its figures end.

    Inception's figures have the literature's plain names, for which the others' must not be taken.
    """

    title: str
    ending: str


NETWORKS: Mapping[str, FeatureNetwork] = {
    "efflite0": FeatureNetwork("EfficientNet-Lite0", "_efflite0"),
    "inception": FeatureNetwork("Inception v3", ""),
    "inception-clean": FeatureNetwork("Inception v3, clean resize", "_clean"),
    "inception-fastgan": FeatureNetwork("Inception v3, FastGAN's evaluation", "_fastgan"),
    "inception-tv": FeatureNetwork("Inception v3, torchvision", "_tv"),
    "vgg16": FeatureNetwork("VGG16", "_vgg16"),
    "dinov2": FeatureNetwork("DINOv2", "_dinov2"),
    "pixels32": FeatureNetwork("32-px pictures", "_pixels32"),
}
NETWORKS_OF_SETS = ("efflite0", "inception", "vgg16", "dinov2")
"""Networks on which sets of pictures are compared in every respect."""


@dataclass(frozen=True)
class Metric:
    """A metric's row holds all that is to be known of it, whatever it is measured on.

    Attributes:
        base: its name without the feature network.
        group: with what it is asked for and computed.
        section: under which heading it stands.
        title: in tables; where `scale_of` is set with a place for the scale in pixels.
        better: which way is better; None where neither is.
        meaning: one sentence for a newcomer.
        networks: those on which it is measured, a figure for each, named by it; empty: there is one figure.
        literature: name and title on Inception, where the literature has its own.
        needs: "lpips" where its weights are needed.
        level_of: of a reference level, the distance that two halves of the real pictures score.
        scale_of: of a figure that there is at several scales, the metric that sums them up.
        space: of a figure of the copying check, where it looks.
        in_training: words and number format where a snapshot's figures are told during training.
        in_scenes: place in the table over many scenes.
        in_ladder: heading in the table of disturbed pictures, see `evaluation.calibration`.
    """

    base: str
    group: Group
    section: Section
    title: str
    better: Better | None
    meaning: str
    networks: tuple[str, ...] = ()
    literature: tuple[str, str] | None = None
    needs: Literal["lpips"] | None = None
    level_of: str | None = None
    scale_of: str | None = None
    space: Space | None = None
    in_training: tuple[str, str] | None = None
    in_scenes: int | None = None
    in_ladder: str | None = None


# In the order of every table. One row a metric, which a formatter would spread over a dozen lines.
# fmt: off
METRICS: tuple[Metric, ...] = (
    Metric("kid", "distribution", "distance", "KID", "lower",
        "Distance between the two sets that stays fair with few pictures; 0 is ideal, slightly below 0 is chance. It "
        "does not notice copying.",
        networks=(*NETWORKS_OF_SETS, "inception-clean"), in_training=("KID", ".4f"), in_ladder="KID"),
    Metric("kid_mid", "distribution", "distance", "KID, mid-level features", "lower",
        "The same kind of distance on layout-aware features, where broken shapes with right textures are noticed.",
        networks=("efflite0",), in_ladder="KID mid"),
    Metric("fd", "distribution", "distance", "Fréchet distance", "lower",
        "Distance between Gaussians fitted to the two sets; read it beside the reference level, because it grows with "
        "fewer pictures. Copies get the best values.",
        networks=(*NETWORKS_OF_SETS, "inception-clean", "inception-fastgan"), literature=("fid", "FID"),
        in_training=("FD", ".1f"), in_ladder="FD"),
    Metric("fd_reference", "distribution", "distance", "Reference level: halves of the real pictures", None,
        "What two random halves of your own pictures score against each other. Not a floor: lower is possible, and "
        "with few pictures often means copying.",
        networks=NETWORKS_OF_SETS, literature=("fid_reference", "Reference level of FID: halves of the real pictures"),
        level_of="fd"),
    Metric("fd_mid", "distribution", "distance", "Fréchet distance, mid-level features", "lower",
        "Distance between Gaussians on layout-aware features: where in the picture is what.",
        networks=("efflite0",), in_ladder="FD mid"),
    Metric("fd_mid_reference", "distribution", "distance", "Reference level, mid-level features", None,
        "What two random halves of your own pictures score on layout-aware features.",
        networks=("efflite0",), level_of="fd_mid"),
    Metric("mifd", "distribution", "distance", "Fréchet distance that punishes copies", "lower",
        "The distance between Gaussians, multiplied up when the pictures are near copies on average.",
        networks=NETWORKS_OF_SETS, literature=("mifid", "MiFID, a distance that punishes copies"), in_ladder="MiFD"),
    Metric("patch_swd", "patches", "distance", "Patch distance, mean over scales", "lower",
        "Distance between small patches at several scales, times 1000, mean over the scales; needs no trained "
        "network.",
        in_ladder="patch SWD"),
    Metric("patch_swd_level", "patches", "distance", "Patch distance at {} px", "lower",
        "Distance between small patches at this scale, times 1000: coarse scales show layout and colours, fine ones "
        "texture.",
        scale_of="patch_swd"),
    Metric("patch_swd_reference", "patches", "distance", "Reference level of the patch distance", None,
        "What two random halves of your own pictures score in the patch distance.",
        level_of="patch_swd"),
    Metric("precision", "distribution", "coverage", "Precision", "higher",
        "Share of generated pictures that lie among the real ones: are they believable? Flattering with few pictures.",
        networks=NETWORKS_OF_SETS, in_ladder="precision"),
    Metric("recall", "distribution", "coverage", "Recall", "higher",
        "Share of real pictures that lie among the generated ones: is everything covered?",
        networks=NETWORKS_OF_SETS, in_ladder="recall"),
    Metric("density", "distribution", "coverage", "Density", "higher",
        "How crowded with real pictures the places of the generated ones are; 1 is as crowded as real ones, below is "
        "worse.",
        networks=NETWORKS_OF_SETS, in_ladder="density"),
    Metric("coverage", "distribution", "coverage", "Coverage", "higher",
        "Share of real pictures that have a generated one in their neighbourhood.",
        networks=NETWORKS_OF_SETS, in_ladder="coverage"),
    Metric("nn1_acc", "distribution", "coverage", "1-NN accuracy", "target",
        "Can real and generated be told apart by the nearest neighbour? 0.5 is ideal, 1 is easily told apart, towards "
        "0 the generated pictures sit on the real ones, as copies do.",
        networks=NETWORKS_OF_SETS, in_ladder="1-NN"),
    Metric("is", "distribution", "coverage", "Inception-Score formula", "higher",
        "Are single pictures clearly of some kind, and the set of many kinds? Made for ImageNet's thousand classes; "
        "of little use for a single motif.",
        networks=("efflite0", "inception"), literature=("inception_score", "Inception Score"), in_ladder="IS formula"),
    Metric("sifid64", "single", "single", "SIFID, 64 channels", "lower",
        "Distance of texture statistics between one generated picture and the training picture, mean over the "
        "generated ones; a copy scores 0.",
        networks=("inception", "inception-tv"), in_scenes=2),
    Metric("sifid192", "single", "single", "SIFID, 192 channels", "lower",
        "The same on a deeper layer; a copy scores 0.",
        networks=("inception", "inception-tv"), in_scenes=3),
    Metric("sifd", "single", "single", "Texture distance (single-image Fréchet)", "lower",
        "Distance of texture statistics between one generated picture and the training picture, mean over the "
        "generated ones; a copy scores 0.",
        networks=("efflite0",), in_training=("single-image distance", ".1f"), in_scenes=1),
    Metric("single_patch_swd", "single", "single", "Patch distance", "lower",
        "Distance between the small patches of a generated picture and of the training picture, mean over the "
        "generated ones; a copy scores 0.",
        in_scenes=6),
    Metric("distance_to_train", "single", "copying", "Perceptual distance to the training picture", "higher",
        "Perceptual distance to the training picture, its mirror image and small shifts, the smallest of them, mean "
        "over the generated ones; near 0 is a copy.",
        networks=("efflite0",), in_scenes=7),
    Metric("lpips_to_train", "single", "copying", "LPIPS to the training picture", "higher",
        "LPIPS to the training picture, its mirror image and small shifts, the smallest of them, mean over the "
        "generated ones; near 0 is a copy.",
        needs="lpips", in_scenes=8),
    Metric("copy_rate", "single", "copying", "Patches copied in one piece", "lower",
        "Share of neighbouring patches that come from neighbouring places of the training picture; from "
        f"{COPY_RATE_LIMIT:g} a picture counts as copied.",
        in_training=("copied patches", ".0%"), in_scenes=9),
    Metric("copy_share", "copying", "copying", "Share of suspiciously near pictures", "lower",
        "Share of generated pictures that are nearer to a training picture than nearly all training pictures are to "
        "each other.",
        space="mid", in_training=("near-copies", ".0%"), in_ladder="copy share"),
    Metric("nn_ratio", "copying", "copying", "Distance to the training set, relative", "target",
        "Typical distance of a generated picture to its nearest training picture, over that of training pictures "
        "among each other; about 1 is honest, towards 0 is copying.",
        space="mid", in_ladder="nn ratio"),
    Metric("authpct", "copying", "copying", "Authentic pictures (AuthPct), percent", "higher",
        "Percentage of generated pictures that are farther from their nearest training picture than that one is from "
        "its own neighbour; honest sets score about 60 to 75, copies 0.",
        space="mid", in_ladder="AuthPct"),
    Metric("copy_share_pixels", "copying", "copying", "Share of suspiciously near pictures, by pixels", "lower",
        "As copy_share, on small pictures without brightness and contrast: notices copies in drawings.",
        space="pixels", in_ladder="copy share px"),
    Metric("nn_ratio_pixels", "copying", "copying", "Distance to the training set, relative, by pixels", "target",
        "As nn_ratio, on small pictures without brightness and contrast.",
        space="pixels", in_ladder="nn ratio px"),
    Metric("authpct_pixels", "copying", "copying", "Authentic pictures (AuthPct), percent, by pixels", "higher",
        "As authpct, on small pictures without brightness and contrast.",
        space="pixels", in_ladder="AuthPct px"),
    Metric("holdout_nearer_share", "copying", "copying", "Generated nearer than held-out pictures", "target",
        "Chance that a generated picture is nearer to the training pictures than a held-out real one is; 0.5 is "
        "honest, 1 is copying."),
    Metric("holdout_nn_ratio", "copying", "copying", "Distance relative to held-out pictures", "target",
        "Typical distance of generated pictures to the training pictures over that of held-out real ones; about 1 is "
        "honest."),
    Metric("patchwork_share", "regions", "regions", "Share that comes in regions of training pictures", "target",
        "How much of a generated picture lies in connected regions that some training picture explains at one shift or "
        "mirrored, mean over the generated ones; what only few training pictures have counts most, flat areas count "
        "nothing. The level is what real pictures have of each other."),
    Metric("further_share", "regions", "regions", "Share in regions of further training pictures", "target",
        "The same without the one training picture that most comes from: a copy has none, a patchwork much."),
    Metric("largest_region", "regions", "regions", "Largest region of one training picture", "target",
        "How much of a generated picture its largest region covers, mean over the generated ones."),
    Metric("region_share", "regions", "regions", "Share of one training picture at one shift", "target",
        "How much of a generated picture the best single training picture explains at a single shift, mean over the "
        "generated ones; 1 is a copy."),
    Metric("region_count", "regions", "regions", "Regions in a picture", None,
        "How many regions of training pictures a generated picture is put together from, mean over the generated "
        "ones."),
    Metric("region_sources", "regions", "regions", "Training pictures in a picture", None,
        "From how many training pictures these regions come, mean over the generated ones."),
    Metric("patchwork_pictures", "regions", "regions", "Share of pictures that are patchworks", "lower",
        "Share of generated pictures with more of them in regions of training pictures than 95 % of the real ones "
        "have, and at least a tenth."),
    Metric("patchwork_rank", "regions", "regions", "More of a patchwork than real pictures", "target",
        "Chance that a generated picture surpasses a real one in its share in regions, in that of further training "
        "pictures, or in its largest region, whichever tells most; 0.5 is honest, 1 is a patchwork always."),
    Metric("div", "diversity", "diversity", "Diversity, relative to the real pictures", "target",
        "How much generated pictures differ from each other, over how much the real ones do; 1 is as varied as the "
        "real ones.",
        networks=("efflite0",), in_ladder="diversity"),
    Metric("div_within", "diversity", "diversity", "Diversity around one training picture", "target",
        "How much generated pictures with the same nearest training picture differ, over the variety of the real "
        "ones; near 0 they are variations of one picture.",
        networks=("efflite0",), in_ladder="div. within"),
    Metric("lpips_diversity", "diversity", "diversity", "LPIPS diversity", "higher",
        "How much generated pictures differ to the eye (LPIPS), mean over pairs at this picture size.",
        needs="lpips"),
    Metric("lpips_diversity_within", "diversity", "diversity", "LPIPS diversity around one training picture", "higher",
        "The same among generated pictures that share their nearest training picture.",
        needs="lpips"),
    Metric("pixel_diversity", "single", "diversity", "Pixel diversity", "higher",
        "How much the generated pictures differ pixel by pixel, over the variation within the training picture; noise "
        "scores high too.",
        in_training=("pixel diversity", ".2f"), in_scenes=4),
    Metric("pixel_difference", "single", "diversity", "Pixel difference from the training picture", "higher",
        "How much a generated picture differs from the training picture pixel by pixel, on the scale of pixel "
        "diversity, mean over the generated ones; 0 is a copy.",
        in_scenes=5),
    Metric("perceptual_diversity", "single", "diversity", "Perceptual diversity", "higher",
        "How much the generated pictures differ to a feature network, mean over pairs.",
        networks=("efflite0",)),
    Metric("smoothness_path", "smoothness", "smoothness", "Change over a whole walk, squared", "lower",
        "Mean squared change of a walk's pictures for its whole length, in the manner of the perceptual path length: "
        "low where pictures change gently.",
        networks=("efflite0",)),
    Metric("smoothness_evenness", "smoothness", "smoothness", "Unevenness of the steps", "lower",
        "How uneven the steps of a walk between two latents are; 0 is perfectly even, stairs suggest memorised "
        "pictures.",
        networks=("efflite0",)),
    Metric("smoothness_largest_step", "smoothness", "smoothness", "Largest step over the mean step", "lower",
        "The largest step of a walk over its mean step; 1 is even, as many as there are steps is one single jump.",
        networks=("efflite0",)),
    Metric("smoothness_detour", "smoothness", "smoothness", "Detour", "lower",
        "Length of a walk between two latents over the direct distance of its ends; 1 is straight.",
        networks=("efflite0",)),
)
# fmt: on

BY_BASE: Mapping[str, Metric] = {metric.base: metric for metric in METRICS}
PLACES: Mapping[str, int] = {metric.base: place for place, metric in enumerate(METRICS)}
