"""In which precision a training multiplies: as set, or by what the device does fast."""

from __future__ import annotations

from typing import Any, Literal

import torch

from sase_gan.hardware import Hardware

PrecisionSetting = Literal["auto", "32-true", "bf16-mixed"]


def settled(setting: PrecisionSetting, hardware: Hardware) -> str:
    """Return Lightning's name of the precision: where "auto", bfloat16 on every device that multiplies in it.

    Statistics, losses, spectral norms, optimisers and averages stay in float32 in either case.
    """
    if setting != "auto":
        return setting
    if hardware.kind == "cpu":
        return "bf16-mixed" if cpu_multiplies_bfloat16() else "32-true"
    return hardware.precision


def cpu_multiplies_bfloat16() -> bool:
    """Tell whether this CPU has instructions for products of bfloat16: AVX512-BF16, AMX, or Arm's own.

    Others compute them by way of float32, more slowly than float32 itself.
    """
    # Releases of torch before 2.11 cannot tell.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
