"""What each figure means: which way is better, and one sentence for a newcomer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "target"]


@dataclass(frozen=True)
class Meaning:
    """Which way is better (None where neither is), and one sentence for a newcomer."""

    better: Better | None
    sentence: str


MEANINGS: Mapping[str, Meaning] = {
    "kid": Meaning(
        "lower",
        "Distance between the two sets that stays fair with few pictures; 0 is ideal, slightly below 0 is "
        "chance. It does not notice copying.",
    ),
    "fd": Meaning(
        "lower",
        "Distance between Gaussians fitted to the two sets; read it beside the reference level, because it "
        "grows with fewer pictures. Copies get the best values.",
    ),
    "fd_reference": Meaning(
        None,
        "What two random halves of your own pictures score against each other. Not a floor: lower is "
        "possible, and with few pictures often means copying.",
    ),
    "kid_mid": Meaning(
        "lower",
        "The same kind of distance on layout-aware features, where broken shapes with right textures are noticed.",
    ),
    "fd_mid": Meaning("lower", "Distance between Gaussians on layout-aware features: where in the picture is what."),
    "fd_mid_reference": Meaning(None, "What two random halves of your own pictures score on layout-aware features."),
    "mifd": Meaning(
        "lower",
        "The distance between Gaussians, multiplied up when the pictures are near copies on average.",
    ),
    "precision": Meaning(
        "higher",
        "Share of generated pictures that lie among the real ones: are they believable? Flattering with few pictures.",
    ),
    "recall": Meaning("higher", "Share of real pictures that lie among the generated ones: is everything covered?"),
    "density": Meaning(
        "higher",
        "How crowded with real pictures the places of the generated ones are; 1 is as crowded as real ones, "
        "below is worse.",
    ),
    "coverage": Meaning("higher", "Share of real pictures that have a generated one in their neighbourhood."),
    "nn1_acc": Meaning(
        "target",
        "Can real and generated be told apart by the nearest neighbour? 0.5 is ideal, 1 is easily told apart, "
        "towards 0 the generated pictures sit on the real ones, as copies do.",
    ),
    "is": Meaning(
        "higher",
        "Are single pictures clearly of some kind, and the set of many kinds? Made for ImageNet's thousand "
        "classes; of little use for a single motif.",
    ),
    "patch_swd": Meaning(
        "lower",
        "Distance between small patches at several scales, times 1000, mean over the scales; needs no trained network.",
    ),
    "patch_swd_reference": Meaning(None, "What two random halves of your own pictures score in the patch distance."),
    "patch_swd_level": Meaning(
        "lower",
        "Distance between small patches at this scale, times 1000: coarse scales show layout and colours, "
        "fine ones texture.",
    ),
    "copy_share": Meaning(
        "lower",
        "Share of generated pictures that are nearer to a training picture than nearly all training pictures "
        "are to each other.",
    ),
    "nn_ratio": Meaning(
        "target",
        "Typical distance of a generated picture to its nearest training picture, over that of training "
        "pictures among each other; about 1 is honest, towards 0 is copying.",
    ),
    "authpct": Meaning(
        "higher",
        "Percentage of generated pictures that are farther from their nearest training picture than that one "
        "is from its own neighbour; honest sets score about 60 to 75, copies 0.",
    ),
    "copy_share_pixels": Meaning(
        "lower",
        "As copy_share, on small pictures without brightness and contrast: notices copies in drawings.",
    ),
    "nn_ratio_pixels": Meaning("target", "As nn_ratio, on small pictures without brightness and contrast."),
    "authpct_pixels": Meaning("higher", "As authpct, on small pictures without brightness and contrast."),
    "holdout_nearer_share": Meaning(
        "target",
        "Chance that a generated picture is nearer to the training pictures than a held-out real one is; 0.5 "
        "is honest, 1 is copying.",
    ),
    "holdout_nn_ratio": Meaning(
        "target",
        "Typical distance of generated pictures to the training pictures over that of held-out real ones; "
        "about 1 is honest.",
    ),
    "div": Meaning(
        "target",
        "How much generated pictures differ from each other, over how much the real ones do; 1 is as varied "
        "as the real ones.",
    ),
    "div_within": Meaning(
        "target",
        "How much generated pictures with the same nearest training picture differ, over the variety of the "
        "real ones; near 0 they are variations of one picture.",
    ),
    "lpips_diversity": Meaning(
        "higher",
        "How much generated pictures differ to the eye (LPIPS), mean over pairs at this picture size.",
    ),
    "lpips_diversity_within": Meaning(
        "higher",
        "The same among generated pictures that share their nearest training picture.",
    ),
    "smoothness_path": Meaning(
        "lower",
        "Mean squared change of a walk's pictures for its whole length, in the manner of the perceptual path length: "
        "low where pictures change gently.",
    ),
    "smoothness_evenness": Meaning(
        "lower",
        "How uneven the steps of a walk between two latents are; 0 is perfectly even, stairs suggest "
        "memorised pictures.",
    ),
    "smoothness_largest_step": Meaning(
        "lower",
        "The largest step of a walk over its mean step; 1 is even, as many as there are steps is one single jump.",
    ),
    "smoothness_detour": Meaning(
        "lower",
        "Length of a walk between two latents over the direct distance of its ends; 1 is straight.",
    ),
    "sifid64": Meaning(
        "lower",
        "Distance of texture statistics between one generated picture and the training picture, mean over the "
        "generated ones; a copy scores 0.",
    ),
    "sifid192": Meaning("lower", "The same on a deeper layer; a copy scores 0."),
    "sifd": Meaning(
        "lower",
        "Distance of texture statistics between one generated picture and the training picture, mean over the "
        "generated ones; a copy scores 0.",
    ),
    "pixel_diversity": Meaning(
        "higher",
        "How much the generated pictures differ pixel by pixel, over the variation within the training "
        "picture; noise scores high too.",
    ),
    "pixel_difference": Meaning(
        "higher",
        "How much a generated picture differs from the training picture pixel by pixel, on the scale of pixel "
        "diversity, mean over the generated ones; 0 is a copy.",
    ),
    "single_patch_swd": Meaning(
        "lower",
        "Distance between the small patches of a generated picture and of the training picture, mean over the "
        "generated ones; a copy scores 0.",
    ),
    "distance_to_train": Meaning(
        "higher",
        "Perceptual distance to the training picture, its mirror image and small shifts, the smallest of "
        "them, mean over the generated ones; near 0 is a copy.",
    ),
    "lpips_to_train": Meaning(
        "higher",
        "LPIPS to the training picture, its mirror image and small shifts, the smallest of them, mean over "
        "the generated ones; near 0 is a copy.",
    ),
    "copy_rate": Meaning(
        "lower",
        "Share of neighbouring patches that come from neighbouring places of the training picture; from 0.75 "
        "a picture counts as copied.",
    ),
    "perceptual_diversity": Meaning(
        "higher",
        "How much the generated pictures differ to a feature network, mean over pairs.",
    ),
}
