"""How the configuration of a run comes about: preset < file < flags < `--set a.b=c`, merged and checked here."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from sase_gan.errors import UsageError

Record = TypeVar("Record", bound=BaseModel)
LARGEST_FILE = 2**20
"""Bytes of a configuration file that is read."""
DEEPEST = 20
"""Brackets within each other in one."""


class FrozenRecord(BaseModel):
    """A part of a configuration: values never change after they were checked, and unknown keys are refused.

    A subclass states in `removed_keys` what older versions wrote: keys of switches that are gone, each with the value
    that is built now. Records that have that value are read, others are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    removed_keys: ClassVar[Mapping[str, object]] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_removed_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for key, kept in cls.removed_keys.items():
            if data.get(key, kept) != kept:
                raise ValueError(
                    f"{key} is {data[key]!r}, which this version no longer builds, only {kept!r}; if an older version "
                    "made this, use sase_gan 0.1.0, or train anew"
                )
        return {key: value for key, value in data.items() if key not in cls.removed_keys}


def preset_folder() -> Path:
    """Find the folder of presets: `configs/` of a checkout, or inside the installed package. Nobody else knows."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "configs").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout / "configs"
    return Path(str(files("sase_gan") / "presets"))


def list_presets(task: str | None = None) -> list[str]:
    """List the names of presets, such as `low_shot/demo`, sorted; of one task if given."""
    folder = preset_folder()
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    return sorted(name for name in names if task is None or name.startswith(f"{task}/"))


def load_preset(name: str, *, task: str | None = None) -> dict[str, Any]:
    """Read the values of a preset; `demo` is understood as `low_shot/demo` when the task is known.

    Raises:
        UsageError: for an unknown name; the message lists the known ones.
    """
    full = name if "/" in name or task is None else f"{task}/{name}"
    if full not in list_presets():
        raise UsageError(f"preset is {name!r}; choose one of {', '.join(list_presets(task))}")
    return load_yaml(preset_folder() / f"{full}.yaml")


def load_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        UsageError: if the file is missing, is not YAML, or holds no mapping.
    """
    if not path.is_file():
        raise UsageError(f"configuration file {path} does not exist; check the path")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(
                f"configuration file {path} has {path.stat().st_size:,} bytes; at most {LARGEST_FILE:,} are read"
            )
        text = path.read_text(encoding="utf-8")
        _check_modest(path, text)
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"configuration file {path} is no text in UTF-8; it is damaged or of another kind") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        words = " ".join(str(error).split())[:300]
        raise UsageError(f"configuration file {path} is not YAML: {words}") from error
    except OSError as error:
        raise UsageError(
            f"configuration file {path} cannot be read ({error.strerror}); check its permissions"
        ) from error
    if not isinstance(data, dict | None):
        raise UsageError(f"configuration file {path} holds a {type(data).__name__}; it must hold keys and values")
    return data or {}


def _check_modest(path: Path, text: str) -> None:
    """Refuse what costs beyond measure to read: parts that stand for others, and brackets within brackets.

    Names for parts let a few lines stand for gigabytes, and the time of nested brackets grows by their square.
    """
    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise UsageError(f"configuration file {path} refers to parts of itself (*name); write them out")
        depth += isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken)
        depth -= isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken)
        if depth > DEEPEST:
            raise UsageError(f"configuration file {path} nests more than {DEEPEST} brackets; it is damaged")


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read nested values from texts such as `loss.r1=0.1`; the right side is YAML.

    Raises:
        UsageError: for a text without a key or an equals sign, or whose value is not YAML.

    Example:
        >>> parse_assignments(["loss.r1=0.1", "augment.policy=[color]"])
        {'loss': {'r1': 0.1}, 'augment': {'policy': ['color']}}
    """
    merged: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set got {text!r}; write section.key=value, for example --set loss.r1=0.1")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set got {text!r}, whose value is not YAML; quote it, or write [a, b]") from error
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        merged = merge(merged, nested)
    return merged


def parse_share(text: str) -> float:
    """Read a share such as `10%` or `0.1`.

    Raises:
        UsageError: for anything else.
    """
    number, percent, rest = str(text).partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = float("nan")
    if rest or not 0 <= share <= 1:
        raise UsageError(f"the share is {text!r}; write it as 10% or 0.1")
    return share


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay mappings over each other, the last on top; nested mappings are merged, everything else is replaced."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both_nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merge(result[key], value) if both_nested else copy.deepcopy(value)
    return result


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys whose value is None, at every depth: flags that the user did not give."""
    inner = {key: without_none(value) or None if isinstance(value, Mapping) else value for key, value in values.items()}
    return {key: value for key, value in inner.items() if value is not None}


def build(record: type[Record], values: Mapping[str, Any]) -> Record:
    """Make the checked record from its values.

    Raises:
        UsageError: one sentence for the first thing that is wrong: where, the value, what is required.
    """
    try:
        return record.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(_explain(record, error)) from error


def resolve(
    record: type[Record],
    *,
    preset: str | None = None,
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    settings: Iterable[str] | None = None,
    task: str | None = None,
    beneath: Mapping[str, Any] | None = None,
) -> Record:
    """Make the checked record of a preset, overlaid by a YAML file, by flags and by `--set`, in this order.

    Args:
        flags: nested values; those that are None were not given and change nothing.
        settings: texts such as `loss.r1=0.1`.
        beneath: values laid over the preset alone, beneath everything that was asked for.
        task: the folder of presets, so that `demo` is understood as `low_shot/demo`.

    Raises:
        UsageError: for an unknown preset, a file that is none, or the first wrong key or value.
    """
    layers = (
        {} if preset is None else load_preset(preset, task=task),
        beneath or {},
        {} if file is None else load_yaml(file),
        without_none(flags or {}),
        parse_assignments(settings or ()),
    )
    return build(record, merge(*layers))


def _explain(record: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        current: Any = record
        for part in first["loc"][:-1]:
            current = current.model_fields[part].annotation
        return f"config: {where} is not a known key; known there: {', '.join(sorted(current.model_fields))}"
    message = first["msg"].removeprefix("Value error, ")
    if not where or isinstance(first["input"], Mapping):  # a rule about several keys names them itself
        return f"config: {where}: {message}" if where else f"config: {message}"
    message = message.removeprefix(f"{first['loc'][-1]} is {first['input']!r}; ")  # said already, with its section
    return f"config: {where} is {first['input']!r}; {message[0].lower()}{message[1:]}"


def to_yaml(record: BaseModel) -> str:
    """Write all values of the record, resolved, as YAML."""
    return yaml.safe_dump(record.model_dump(mode="json"), sort_keys=False)
