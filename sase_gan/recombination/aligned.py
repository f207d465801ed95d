"""The aligned form: pictures of one kind of thing, recombined position by position, without training.

The best denoiser of a training set that decides at every position p by a window around it (Kamb and Ganguli, arXiv
2412.20292, the "local score machine"): with examples x_i and a noisy picture x at noise s,

    w_i(p) = softmax_i( log_prior_i - sum over q in window(p) of |x(q) - x_i(q)|^2 / (2 s^2) )
    x0(p)  = sum_i w_i(p) x_i(p)
    x      <- x0 + (x - x0) s_next / s

Deviations and additions:
* It begins at the examples' mean plus noise: noise alone prefers examples near mid-grey.
* Coarse to fine: a level of half the size sees half the noise, and decides at high noise; the next one goes on with its
  estimate, enlarged, and noise whose averages over four pixels are the noise that was left.
* Where windows are wide, weights are computed on a grid of every second or fourth pixel and lie bilinearly between.
* Finer levels look, in every cell of 16 x 16 pixels, only at the examples that weighed most there or nearby one level
  before: cost and memory hardly grow with the number of pictures.
* `log_prior`, one number a picture, makes their use even (`recombination.evenness`).
The brute form without any of these is `reference.recombination`, and tests hold this one to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from sase_gan.pixels import to_float
from sase_gan.recombination.control import Beginning, Control, at_level, at_this_level, beginning_of
from sase_gan.recombination.drawn import NOWHERE, Drawn
from sase_gan.recombination.examples import Examples
from sase_gan.recombination.grid import Grid
from sase_gan.recombination.schedules import Schedule, level_sizes
from sase_gan.recombination.seams import STEPS, toned
from sase_gan.recombination.shortlists import Shortlists, first_choice, whole
from sase_gan.resizing import resize

SHORTLIST = 32
"""So many examples are looked at in every cell of a finer level."""
_AROUND = 25  # pixels a side, for choosing between sources that are equally near
_GROUP = 4  # so many pictures are always drawn at once, or a product's last bit would turn on the batch


class AlignedRecombiner:
    """A recombiner draws new pictures of a set by the local denoiser at the same position.

    Args:
        pictures: uint8 `[N, 3, height, width]`; or of four channels, see `sase_gan.colours`.
        mirror: whether mirror images count as examples.
        shift: examples are also shifted by up to so many pixels of the coarsest level, about 32 px a side.
        log_prior: float `[N]`, see the module.

    Example:
        >>> recombiner = AlignedRecombiner(torch.randint(256, (5, 3, 64, 64), dtype=torch.uint8), mirror=True)
        >>> z = torch.randn(2, *recombiner.latent_shape())
        >>> noise = [torch.randn(2, *shape) for shape in recombiner.noise_shapes()]
        >>> recombiner.draw(z, noise).pictures.shape
        torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        pictures: Tensor,
        *,
        mirror: bool = False,
        shift: int = 0,
        schedule: Schedule | None = None,
        shortlist: int = SHORTLIST,
        log_prior: Tensor | None = None,
    ) -> None:
        self.schedule = schedule or Schedule()
        self.channels = pictures.shape[1]
        self.sizes = level_sizes((pictures.shape[2], pictures.shape[3]))
        self.examples = Examples(pictures, self.sizes, mirror=mirror, shift=shift)
        prior = torch.zeros(len(pictures)) if log_prior is None else log_prior.float()
        self.prior = prior.to(pictures.device)[self.examples.picture]
        self.grid = Grid(self.examples.coarsest())
        self.shortlist = min(shortlist, len(self.examples))

    def latent_shape(self) -> tuple[int, int, int]:
        """Return the shape of the latent, the noise of the coarsest level."""
        return (self.channels, *self.sizes[0])

    def noise_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """List the shapes of the noise maps of the finer levels."""
        return tuple((self.channels, *size) for size in self.sizes[1:])

    @torch.no_grad()
    def draw(
        self,
        z: Tensor,
        noise: Sequence[Tensor] | None,
        control: Control | None = None,
        beginning: Beginning | None = None,
    ) -> Drawn:
        """Draw a picture from each latent.

        Args:
            z: normal, `[batch, *latent_shape()]`.
            noise: normal, `[batch, *shape]` for each of `noise_shapes()`; None: none is added at the finer levels.
            beginning: a picture for each latent that its drawing begins from; None: what `control` says.
        """
        beginning = beginning or beginning_of(control, z)
        finer = [None] * (len(self.sizes) - 1) if noise is None else list(noise)
        parts = []
        for first in range(0, len(z), _GROUP):
            several = slice(first, first + _GROUP)
            own = [part if part is None else part[several] for part in finer]
            begun = None if beginning is None else beginning._replace(pictures=beginning.pictures[several])
            parts.append(self._draw_group(z[several], own, control, begun))
        return Drawn(*(torch.cat(part) for part in zip(*parts, strict=True)))

    @torch.no_grad()
    def coarse_shares(self, z: Tensor, prior: Tensor) -> Tensor:
        """Tell how much each training picture `[N]` gives to what the coarsest level draws with another prior `[N]`."""
        prior = prior.to(self.prior)[self.examples.picture]
        logs = torch.cat([self._coarse(part, None, prior, None)[2] for part in z.split(_GROUP)])
        return self._of_pictures(logs.exp().mean((0, 1, 2)))

    def _draw_group(
        self, z: Tensor, finer: Sequence[Tensor | None], control: Control | None, beginning: Beginning | None
    ) -> Drawn:
        x0, left, logs = self._coarse(z, control, self.prior, beginning)
        drawn = []
        for index in range(len(z)):
            if len(self.sizes) == 1:
                every = torch.arange(len(self.examples), device=z.device)[None]
                drawn.append(self._told(x0[index], logs[index].permute(2, 0, 1)[None], every, control))
            else:
                own = [None if part is None else part[index] for part in finer]
                drawn.append(self._refined(x0[index], left[index], logs[index], own, control))
        return Drawn(*(torch.stack(part) for part in zip(*drawn, strict=True)))

    def _coarse(
        self, z: Tensor, control: Control | None, prior: Tensor, beginning: Beginning | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the coarsest level: estimates, what noise is left in units of its deviation, and weights."""
        count, size = len(z), self.sizes[0]
        held = at_this_level(control, size, self.examples.picture)
        noises = self.schedule.noise(0, len(self.sizes))
        if beginning is None:
            x0 = self.grid.start(prior, held.rules)
        else:
            first = self.schedule.beginning(beginning.strength)
            noises = (first, *(noise for noise in noises if noise < first))
            x0 = _filled(at_level(beginning.pictures.to(z), size))
        x = x0 + _filled(z) * noises[0]
        for now, then in pairwise((*noises, 0.0)):
            window = self.schedule.window(now)
            x0, logits = self.grid.estimate(held.kept(x), now, window, prior, held.rules, held.trust(now))
            x0 = held.kept(x0)
            left = (x - x0) / now
            x = x0 + left * then
        return x0[:count], left[:count], logits[:count].log_softmax(3)

    def _refined(
        self, x0: Tensor, left: Tensor, logs: Tensor, finer: Sequence[Tensor | None], control: Control | None
    ) -> Drawn:
        """Draw the finer levels of one picture."""
        chosen = first_choice(logs, self.sizes[1], self.shortlist)
        for level, (size, fresh) in enumerate(zip(self.sizes[1:], finer, strict=True), start=1):
            noises = self.schedule.noise(level, len(self.sizes))
            held = at_this_level(control, size, self.examples.picture)
            lists = Shortlists(self.examples, level, chosen, self.schedule.window(noises[0]))
            x = resize(x0[None], size)[0] + _finer_noise(left, fresh) * noises[0]
            for now, then in pairwise((*noises, 0.0)):
                x0, logits = lists.estimate(held.kept(x), now, self.schedule.window(now), self.prior, held.rules)
                x0 = held.kept(x0)
                left = (x - x0) / now
                x = x0 + left * then
            logs = logits.log_softmax(1)
            if size != self.sizes[-1]:
                chosen = lists.next(logs, self.shortlist)
        return self._told(x0, logs, chosen, control)

    def _told(self, x0: Tensor, logs: Tensor, chosen: Tensor, control: Control | None) -> Drawn:
        """Tell the sources of one picture.

        Args:
            logs: `[cells, K, h, w]`, logarithms of the last weights; a picture of one level is a single cell.
            chosen: `[cells, K]`, whose weights they are.
        """
        weights = logs.exp()
        best = _settled(weights)
        example = chosen[:, :, None, None].expand_as(weights).gather(1, best)
        size = self.sizes[-1]
        example = example[0, 0] if len(self.sizes) == 1 else whole(example, size)[0]
        shares = weights.new_zeros(len(self.examples)).index_add_(0, chosen.flatten(), weights.mean((2, 3)).flatten())
        rows, columns = (torch.arange(side, device=x0.device) for side in size)
        down, right = self.examples.places(
            len(self.sizes) - 1, example[..., None], rows[:, None, None], columns[None, :, None]
        )
        picture = self.examples.picture[example] + self.examples.mirrored[example] * self.examples.count
        sources = torch.stack([picture, down[..., 0, 0], right[..., 0, 0]], -1).int()
        held = at_this_level(control, size, self.examples.picture)
        if held.keep is not None and held.picture is not None:
            x0 = toned(x0, self._beyond(example), held.picture, held.keep)
            sources[held.keep >= 1] = NOWHERE
        return Drawn(x0, sources, self._of_pictures(shares))

    def _beyond(self, example: Tensor) -> Tensor:
        """Look up what each pixel's example `[height, width]` shows one pixel further, `[4, 3, height, width]`."""
        height, width = example.shape
        chosen = example.reshape(-1, 1)
        rows = torch.arange(height, device=example.device).repeat_interleave(width)[:, None]
        columns = torch.arange(width, device=example.device).repeat(height)[:, None]
        cut = [self.examples.cut(len(self.sizes) - 1, chosen, rows + down, columns + right) for down, right in STEPS]
        return to_float(torch.stack(cut)).view(4, height, width, self.channels).permute(0, 3, 1, 2)

    def _of_pictures(self, shares: Tensor) -> Tensor:
        """Add up shares of examples to shares of training pictures, float64 `[N]` on the CPU, of sum 1."""
        total = torch.zeros(self.examples.count, dtype=torch.float64)
        total.index_add_(0, self.examples.picture.cpu(), shares.cpu().double())
        return total / total.sum()


def _filled(several: Tensor) -> Tensor:
    """Fill a group up with zeros."""
    return torch.cat([several, several.new_zeros(_GROUP - len(several), *several.shape[1:])])


def _finer_noise(left: Tensor, fresh: Tensor | None) -> Tensor:
    """Make noise `[3, 2 h, 2 w]` whose averages over four pixels are half of `left`, else like `fresh`."""
    coarse = left.repeat_interleave(2, 1).repeat_interleave(2, 2) / 2
    if fresh is None:
        return coarse
    means = F.avg_pool2d(fresh, 2).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return coarse + fresh - means


def _settled(weights: Tensor) -> Tensor:
    """Pick the source of every pixel, `[cells, 1, h, w]`, by weights `[cells, K, h, w]`.

    Where several examples are about equally near, as in plain areas, it is the one that is near all around. Whatever
    has a fiftieth of the largest weight looks the same: the colours of sources so picked lie half a level off.
    """
    reach = _AROUND // 2
    around = F.avg_pool2d(weights, (_AROUND, 1), 1, (reach, 0), count_include_pad=False)
    around = F.avg_pool2d(around, (1, _AROUND), 1, (0, reach), count_include_pad=False)
    near = weights >= 0.02 * weights.max(1, keepdim=True).values
    return torch.where(near, around, -1.0).argmax(1, keepdim=True)
