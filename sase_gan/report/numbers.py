"""Numbers as text, with as many decimals as they deserve."""

import math


def format_number(value: float, spread: float | None = None) -> str:
    """Write a number with as many decimals as its spread deserves, or with three figures when there is no spread.

    A spread is trusted to one figure, to two when it begins with 1, 2 or 3, where one figure would be too coarse.

    Example:
        >>> format_number(0.012345, spread=0.0021)
        '0.0123'
        >>> format_number(24.81, spread=0.6)
        '24.8'
        >>> format_number(0.2)
        '0.2'
        >>> format_number(-0.0018)
        '−0.0018'
    """
    scale = abs(spread) if spread else abs(value)
    exponent = math.floor(math.log10(scale)) if scale else 0
    figures = 3 if not spread else 2 if scale / 10**exponent < 4 else 1
    decimals = min(max(figures - 1 - exponent, 0), 6)
    text = f"{value:,.{decimals}f}".replace(",", "\u202f") if abs(value) >= 10_000 else f"{value:.{decimals}f}"
    if not spread and "." in text and (abs(value) < 1 or value == int(value)):
        text = text.rstrip("0").rstrip(".") or "0"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "−")


def count(number: int) -> str:
    """A whole number with thin gaps between the thousands."""
    return f"{number:,}".replace(",", "\u202f")
