"""Options given by name in Python, brought to the types of the record that they fill."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from sase_gan.errors import UsageError


def checked_options(
    record: type, function: str, options: Mapping[str, Any], *, without: tuple[str, ...]
) -> dict[str, Any]:
    """Take options that are fields of a record: texts become paths, and lists tuples, where the record has these.

    Args:
        function: that was called, for the sentence about an unknown option.
        without: fields that the function takes as arguments of their own.

    Raises:
        UsageError: for an option that is no field.
    """
    types = {field.name: get_args(field.type) or (field.type,) for field in fields(record) if field.name not in without}
    if unknown := [name for name in options if name not in types]:
        raise UsageError(f"{function} got {unknown[0]}={options[unknown[0]]!r}; its options are {', '.join(types)}")
    return {name: _as_type(value, types[name]) for name, value in options.items()}


def _as_type(value: Any, kinds: tuple[Any, ...]) -> Any:
    if isinstance(value, str) and Path in kinds:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
