"""What this machine can do: device, precision, threads, memory; and which process of a run this is."""

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from sase_gan.errors import UsageError
from sase_gan.platforms import free_process_memory_mb, peak_process_memory_mb
from sase_gan.processors import neighbours, threads_for, usable_processors


@dataclass(frozen=True)
class Hardware:
    """A device that a run computes on, and how.

    Attributes:
        kind: "cpu", "cuda" or "mps", as Lightning's accelerator.
        precision: Lightning's name: "bf16-mixed" on GPUs that have it, else "32-true".
        follows: whether the number of threads was left to what is idle, and may follow it while the work goes on.
    """

    kind: str
    name: str
    precision: str
    threads: int
    follows: bool = False

    @property
    def device(self) -> torch.device:
        """Name the device as torch does."""
        return torch.device(self.kind)

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of work, in seconds: a CPU's counts what its processors do, of which a neighbour takes none.

        A process that waits for another device does nothing: there it is the clock of the wall.
        """
        return time.process_time if self.kind == "cpu" else time.perf_counter

    @property
    def unit(self) -> str:
        """The unit of `clock`, for tables."""
        return "CPU s" if self.kind == "cpu" else "s"


def choose_hardware(
    device: str = "auto", precision: str | None = None, threads: int | None = None, *, processes: int = 1
) -> Hardware:
    """Resolve the device, and set the number of CPU threads: the given one, or as many as have an idle processor.

    Args:
        threads: None keeps what was given before, here, by OMP_NUM_THREADS or to torch itself, and takes else as many
            as others leave idle of the processors.
        processes: of this machine that share the processors, each of which gets its part of what is idle.

    Raises:
        UsageError: for a device that this machine lacks, or a thread count below 1.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if available["cuda"] else "cpu"
    if not available.get(device, False):
        present = ", ".join(name for name, there in available.items() if there)
        raise UsageError(f"device is {device!r}; this machine has {present}")
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads is {threads}; it must be at least 1")
        torch.set_num_threads(threads)
        _Threads.ours = None
    else:
        follow_idle(processes)
    if precision is None:
        precision = "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    if precision not in ("32-true", "bf16-mixed"):
        raise UsageError(f"precision is {precision!r}; choose 32-true or bf16-mixed")
    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"
    return Hardware(device, name, precision, torch.get_num_threads(), follows=_Threads.are_left_to_us())


class _Threads:
    """Who chose the number of CPU threads in this process is remembered here.

    Attributes:
        most: what torch takes by itself: one for each processor, without second halves of cores.
        ours: what was last chosen here by what is idle; None when somebody asked for a number.
    """

    most = torch.get_num_threads()
    ours: int | None = None if "OMP_NUM_THREADS" in os.environ else most

    @classmethod
    def are_left_to_us(cls) -> bool:
        return cls.ours == torch.get_num_threads()


def follow_idle(processes: int = 1) -> int:
    """Set the number of CPU threads to what is idle now, unless somebody asked for a number; return it.

    A neighbour that comes or goes changes it; on a long work, ask again now and then.

    Args:
        processes: of this machine among which the idle processors are divided.
    """
    if _Threads.are_left_to_us():
        _Threads.ours = min(_Threads.most, threads_for(usable_processors(), neighbours.busy(), processes))
        torch.set_num_threads(_Threads.ours)
    return torch.get_num_threads()


def free_memory_mb(hardware: Hardware) -> float | None:
    """Ask how much memory of the device is free; None where it cannot be told."""
    if hardware.kind == "cuda":
        return torch.cuda.mem_get_info()[0] / 2**20
    return free_process_memory_mb()


def release_memory() -> None:
    """Give back what nobody uses any more, also what torch keeps of a GPU's memory for later."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def peak_memory_mb(device: torch.device) -> float:
    """Ask for the most memory that was used so far: of the device on a GPU, else of the process; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_process_memory_mb() or 0.0


def is_first_process() -> bool:
    """Tell whether this process speaks and writes: one does of those that Lightning, torchrun or srun start."""
    return os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
