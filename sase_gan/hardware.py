"""What this machine can do: device, precision, threads, memory; and which process of a run this is."""

import os
from dataclasses import dataclass

import torch

from sase_gan.errors import UsageError
from sase_gan.platforms import free_process_memory_mb, peak_process_memory_mb


@dataclass(frozen=True)
class Hardware:
    """A device that a run computes on, and how.

    Attributes:
        kind: "cpu", "cuda" or "mps", as Lightning's accelerator.
        precision: Lightning's name: "bf16-mixed" on GPUs that have it, else "32-true".
    """

    kind: str
    name: str
    precision: str
    threads: int

    @property
    def device(self) -> torch.device:
        """Name the device as torch does."""
        return torch.device(self.kind)


def choose_hardware(device: str = "auto", precision: str | None = None, threads: int | None = None) -> Hardware:
    """Resolve the device, and set the number of CPU threads if one is given.

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
    if precision is None:
        precision = "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    if precision not in ("32-true", "bf16-mixed"):
        raise UsageError(f"precision is {precision!r}; choose 32-true or bf16-mixed")
    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} CPU cores"
    return Hardware(device, name, precision, torch.get_num_threads())


def free_memory_mb(hardware: Hardware) -> float | None:
    """Ask how much memory of the device is free; None where it cannot be told."""
    if hardware.kind == "cuda":
        return torch.cuda.mem_get_info()[0] / 2**20
    return free_process_memory_mb()


def peak_memory_mb(device: torch.device) -> float:
    """Ask for the most memory that was used so far: of the device on a GPU, else of the process; 0 if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_process_memory_mb() or 0.0


def is_first_process() -> bool:
    """Tell whether this process speaks and writes; Lightning starts the others of a run with a local rank."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
