r"""Draw the figures of docs/layers.md from a trained generator: what its gate and its attentive norms do.

    sase-gan train data/emoji-faces --preset cpu --kimg 45 --seed 0 --threads 1
    python docs/images/make_layers.py RUN/snapshots/000030kimg docs/images

The first seeds are taken as they come, and seed 6 lends its styles.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch

from sase_gan.drawing.gates import GateEdit, attentive_norms, draw_edited, mask_overlay, view_layers
from sase_gan.drawing.sampling import draw_inputs
from sase_gan.networks.load import load_generator

SEEDS = (0, 1, 2, 3)
OTHER = 6
MANY = 64


def gate_figure(network, out: Path) -> None:
    """For each seed: the picture, its masks, it with each mask closed, and with styles borrowed in the middle."""
    ((name, gate),) = network.sase_gates().items()
    heads = ["picture", *(f"mask {k + 1}" for k in range(gate.groups))]
    heads += [*(f"mask {k + 1}\nclosed" for k in range(gate.groups)), f"styles of\nseed {OTHER}, middle"]
    styles = view_layers(network, draw_inputs(network, [OTHER])).styles[name]
    figure, axes = plt.subplots(len(SEEDS), len(heads), figsize=(1.15 * len(heads), 1.15 * len(SEEDS) + 0.35))
    for row, seed in zip(axes, SEEDS, strict=True):
        inputs = draw_inputs(network, [seed])
        view = view_layers(network, inputs)
        side = view.image.shape[1]
        middle = torch.zeros(side, side)
        middle[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 1
        shown = [view.image, *(mask_overlay(view.image, mask) for mask in view.masks[name])]
        for k in range(gate.groups):
            edit = GateEdit(strengths=tuple(float(j != k) for j in range(gate.groups)))
            shown.append(draw_edited(network, inputs, {name: edit})[0])
        borrowed = GateEdit(styles=styles, borrowed=frozenset(range(gate.groups)), region=middle)
        shown.append(draw_edited(network, inputs, {name: borrowed})[0])
        for axis, picture in zip(row, shown, strict=True):
            axis.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
            axis.set_axis_off()
    for axis, head in zip(axes[0], heads, strict=True):
        axis.set_title(head, fontsize=9)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.88, 0.04, 0.04)
    figure.savefig(out, dpi=110, pil_kwargs={"quality": 88})


def norm_figure(network, out: Path) -> None:
    """For each attentive norm, coarse to fine: the weights of its components for many seeds, a line a seed."""
    views = [view_layers(network, draw_inputs(network, [seed])).mixtures for seed in range(MANY)]
    names = list(attentive_norms(network))
    figure, axes = plt.subplots(1, len(names), figsize=(1.75 * len(names), 2.1), sharey=True)
    for axis, name in zip(axes, names, strict=True):
        weights = torch.stack([view[name] for view in views])
        axis.plot(range(1, weights.shape[1] + 1), weights.T.numpy(), color="tab:blue", alpha=0.18, linewidth=1)
        axis.plot(range(1, weights.shape[1] + 1), weights.mean(0).numpy(), color="black", linewidth=1.5)
        axis.set_title(name, fontsize=9)
        axis.set_xticks(range(1, weights.shape[1] + 1, 2))
        axis.tick_params(labelsize=8)
        axis.set_ylim(0, 1)
    axes[0].set_ylabel("weight", fontsize=9)
    figure.supxlabel("component", fontsize=9)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    network = load_generator(options.snapshot)
    gate_figure(network, options.out / "layers_gate.jpg")
    norm_figure(network, options.out / "layers_norms.png")


if __name__ == "__main__":
    main()
