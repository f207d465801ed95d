"""Windows of 7 x 7 px: what is measured of every one of a picture, for the search for regions."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.metrics.book import NotApplicable
from sase_gan.resizing import resize

SIDE = 64
"""Pictures are reduced to this short side; smaller ones are taken as they are."""
LEAST_SIDE = 16
RADIUS = 3
WINDOW = 2 * RADIUS + 1
VALUES = 3 * WINDOW**2

# In grey levels: a window with this deviation has half the weight of one with full contrast.
_CONTRAST = 4.0
_COMPONENTS = 32
_BLOCK = 32


@dataclass(frozen=True)
class Windows:
    """Windows hold what is measured of every window of some pictures.

    Attributes:
        pixels: of the pictures, less 128 [N, 3, h, w].
        sums: of each window's channels [N, 3, p, q].
        energy: the sum of squares about the window's mean colour [N, p, q].
    """

    pixels: Tensor
    sums: Tensor
    energy: Tensor

    @property
    def mirrored(self) -> "Windows":
        """The mirror images' windows."""
        return Windows(self.pixels.flip(-1), self.sums.flip(-1), self.energy.flip(-1))

    def __getitem__(self, index: slice | Tensor) -> "Windows":
        return Windows(self.pixels[index], self.sums[index], self.energy[index])


def windows_of(images: Tensor) -> Windows:
    """Measure the windows of pictures uint8 [N, 3, H, W], reduced to a short side of 64 px.

    Raises:
        NotApplicable: a short side under 16 px.
    """
    height, width = images.shape[-2:]
    short = min(height, width)
    if short < LEAST_SIDE:
        raise NotApplicable(f"Regions need pictures of at least {LEAST_SIDE} px a side; these have {width} x {height}.")
    factor = min(1.0, SIDE / short)
    pixels = resize(images.float(), (round(height * factor), round(width * factor))) - 128
    sums = box_sums(pixels)
    # float64, because squares of many values are subtracted from each other.
    squares = box_sums(pixels.double().square().sum(1))
    energy = squares - sums.double().square().sum(1) / WINDOW**2
    return Windows(pixels, sums, energy.clamp_min(0).float())


def box_sums(x: Tensor) -> Tensor:
    """Sum over the windows of [..., h, w]: [..., h - 6, w - 6]."""
    for axis in (-1, -2):
        running = x.cumsum(axis)
        length = x.shape[axis] - WINDOW
        first, rest = running.narrow(axis, WINDOW - 1, 1), running.narrow(axis, WINDOW, length)
        x = torch.cat([first, rest - running.narrow(axis, 0, length)], axis)
    return x


def contrast_of(energy: Tensor) -> Tensor:
    """Weigh windows by their energy, from 0 where they are flat to 1."""
    variance = energy / VALUES
    return variance.square() / (variance.square() + _CONTRAST**4)


def principal_components(windows: Windows) -> Tensor:
    """Find the directions in which windows of the pictures and their mirror images differ most: [C, 3, 7, 7]."""
    moments = torch.zeros(VALUES, VALUES, dtype=torch.float64)
    for pixels in windows.pixels.split(_BLOCK):
        rows = F.unfold(pixels, WINDOW, stride=3).transpose(1, 2).reshape(-1, 3, WINDOW**2)
        rows = (rows - rows.mean(2, keepdim=True)).view(-1, 3, WINDOW, WINDOW)
        for some in (rows, rows.flip(-1)):
            moments += (some.flatten(1).T @ some.flatten(1)).double()
    directions = torch.linalg.eigh(moments).eigenvectors[:, -_COMPONENTS:].T.view(-1, 3, WINDOW, WINDOW)
    return (directions - directions.mean((2, 3), keepdim=True)).float()
