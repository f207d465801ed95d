"""Random numbers as a pure function of what they are for: (seed, purpose, counter) gives a generator of its own.

Nothing in training or sampling draws from a global random state, so a resumed run continues exactly and adding a draw
in one place changes no other place.
"""

import hashlib
import operator

import torch


def derive_seed(*parts: int | str) -> int:
    """Mix integers and words into one seed in [0, 2**63), the same on every computer and in every Python.

    The SHA-256 of an unambiguous text of the parts: their order and types matter, so (1, 23), (12, 3) and ("1", 23)
    differ.

    Example:
        >>> derive_seed(0, "shuffle", 3)
        838300989515780687
        >>> derive_seed(1, 23) == derive_seed(12, 3)
        False
    """
    digest = hashlib.sha256(";".join(_spell(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator seeded by `derive_seed(*parts)`.

    Draw on the CPU (the default) where the same numbers are wanted on every device, and move them afterwards.
    """
    return torch.Generator(device=device).manual_seed(derive_seed(*parts))


def _spell(part: int | str) -> str:
    if isinstance(part, str):
        return f"s{len(part)}:{part}"
    # operator.index takes NumPy's integers too and refuses floats, whose text is not the same everywhere.
    return f"i{operator.index(part)}"
