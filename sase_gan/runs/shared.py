"""What several processes of one run do together beside the training step: agree, and draw."""

from collections.abc import Sequence

import torch
from lightning import Trainer
from torch import Tensor

from sase_gan.drawing.sampling import sample_images
from sase_gan.networks.load import Network


def any_of_all(trainer: Trainer, answer: bool) -> bool:
    """Tell whether the answer is yes in any process of the run; all have to ask."""
    if trainer.world_size == 1:
        return answer
    return bool(trainer.strategy.reduce_boolean_decision(answer, all=False))


def of_the_first(trainer: Trainer, answer: bool) -> bool:
    """Return the first process's answer in every process; all have to ask."""
    return answer if trainer.world_size == 1 else bool(trainer.strategy.broadcast(answer, src=0))


def sample_together(trainer: Trainer, network: Network, seeds: Sequence[int], device: torch.device) -> Tensor:
    """Draw one picture for each seed, over white, each process its share; all have to ask.

    Args:
        network: with the same weights in every process.
        device: on which the processes hand pictures to each other.

    Returns:
        uint8 `[len(seeds), 3, height, width]` on the CPU, in every process the same; as `sample_images` of one process,
        but for the level that batches of another size may make.
    """
    if trainer.world_size == 1:
        return sample_images(network, seeds, ground="white")
    # Shares of one length, as gathering wants them: who would have one seed fewer draws the last one once more.
    length = -(-len(seeds) // trainer.world_size)
    share = [seeds[min(i * trainer.world_size + trainer.global_rank, len(seeds) - 1)] for i in range(length)]
    drawn = sample_images(network, share, ground="white").to(device)
    gathered = trainer.strategy.all_gather(drawn).to("cpu")  # [processes, length, 3, height, width]
    return gathered.transpose(0, 1).flatten(0, 1)[: len(seeds)]
