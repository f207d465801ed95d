"""Published models: a directory with `config.json` and `model.safetensors`, in the Hugging Face convention.

A snapshot is self-contained: its configuration stands in `config.json` and again in the header of the weights file, and
loading it reads neither YAML nor pickles. What `PyTorchModelHubMixin` leaves open is closed here: loading is strict, a
missing safetensors file is an error and never a reason to read a pickle, an unknown configuration key is refused, what
a file claims is checked before memory is taken for it (`snapshot_checks`), weights that are not finite are neither
written nor read, and a snapshot is written beside its place and renamed.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
from pydantic import BaseModel, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sase_gan import __version__
from sase_gan.errors import DataError, UsageError
from sase_gan.files import file_digest, write_folder_atomically
from sase_gan.markdown import escaped
from sase_gan.snapshot_checks import check_finite, check_shapes, printable, read_header

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "SnapshotMixin", "is_snapshot", "read_header", "snapshot_digest"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


class SnapshotMixin(
    PyTorchModelHubMixin,
    library_name="sase_gan",
    coders={BaseModel: (lambda config: config.model_dump(), lambda data: data)},
):
    """A module built from one configuration record gets `save_pretrained` and `from_pretrained`.

    A class that mixes this in sets `kind`, the name by which `networks.load` finds it, and `config_class`, and takes
    the record as its only constructor argument, kept as `self.config`. `provenance` holds what is worth knowing about
    the training (images seen, hash of the data, and so on) as JSON values. The model card says what was trained on
    what, and has the licence of the training pictures, because a generator of them is not freer than they are.
    """

    kind: ClassVar[str]
    config_class: ClassVar[type[BaseModel]]
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    """Of the weights in memory: in which the class draws fastest."""
    card_usage: ClassVar[str] = ""
    """Command lines for the model card; SNAPSHOT stands for the folder."""
    card_title: ClassVar[str] = "A model trained"
    card_text: ClassVar[str] = "Trained on pictures {rights}."
    """What the card says first, and of whose pictures; {rights} is their licence."""
    config: Any
    _half = False
    provenance: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed in place

    def snapshot_config(self) -> dict[str, Any]:
        """Return the content of `config.json`."""
        return {
            "kind": self.kind,
            "sase_gan": __version__,
            "network": self.config.model_dump(mode="json"),
            "provenance": self.provenance,
        }

    def save_pretrained(self, save_directory: str | Path, *, half: bool = False, **kwargs: Any) -> str | None:
        """Write the snapshot; the folder appears whole or not at all, replacing an earlier one.

        `half` stores weights in half precision; they are read back into float32, and pictures differ by a level here
        and there.
        """
        self._half = half
        check_finite(self, str(save_directory), "nothing was written: its training diverged; lower the learning rates")
        with write_folder_atomically(save_directory) as temporary:
            super().save_pretrained(temporary, config=self.snapshot_config(), **kwargs)
        return None

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """Write the `README.md` of the snapshot: what it is, how to use it, where it comes from."""
        data = deepcopy(self._hub_mixin_info.model_card_data)
        if licence := self.provenance.get("data", {}).get("licence"):
            data.license, data.license_name = "other", licence
        count = sum(parameter.numel() for parameter in self.parameters())  # type: ignore[attr-defined]
        facts = {"kind": self.kind.replace("_", " "), "parameters": f"{count:,}", **_flat(self.provenance)}
        rows = "\n".join(
            f"| {escaped(name, quote=False)} | {escaped(value, quote=False)} |"
            for name, value in facts.items()
            if value is not None
        )
        unstated = "of a licence that was not stated (`--set data.licence=...`)"
        rights = f"licensed as: {escaped(licence, quote=False)}" if licence else unstated
        origin = self.provenance.get("started_from")
        if isinstance(origin, dict) and (behind := origin.get("licence")):
            behind = escaped(f"{origin.get('name')}, which learned from pictures licensed as: {behind}", quote=False)
            rights = f"{rights}. It started from the weights of {behind}"
        usage = f"```bash\n{self.card_usage}\n```\n\n" if self.card_usage else ""
        return ModelCard(
            f"---\n{data.to_yaml()}\n---\n\n# {self.card_title} with sase_gan {__version__}\n\n{usage}"
            f"{self.card_text.format(rights=rights)}\n\n| | |\n| --- | --- |\n{rows}\n"
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        state = {key: self._stored(value) for key, value in self.state_dict().items()}  # type: ignore[attr-defined]
        # One entry only: safetensors writes several in random order, and equal models would have unequal hashes.
        metadata = {"config": json.dumps(self.snapshot_config(), sort_keys=True)}
        save_file(state, save_directory / WEIGHTS_FILE, metadata=metadata)

    def _stored(self, value: Tensor) -> Tensor:
        value = value.detach().cpu().contiguous()
        return value.half() if self._half and value.is_floating_point() else value

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *, map_location: str | torch.device = "cpu", **options: Any
    ) -> Self:
        """Load a snapshot folder, or a repository of the Hugging Face Hub, in evaluation mode.

        The configuration comes from the header of the weights; `config.json` beside them is for other readers.

        Raises:
            DataError: for what is no snapshot, or one that was changed or has weights that are not finite.
        """
        return cls._from_pretrained(model_id=str(pretrained_model_name_or_path), map_location=map_location, **options)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str | torch.device = "cpu", **options: Any) -> Self:
        weights = Path(model_id) / WEIGHTS_FILE
        if not Path(model_id).is_dir():
            names = ("revision", "cache_dir", "force_download", "local_files_only", "token")
            given = {name: options[name] for name in names if name in options}
            weights = Path(hf_hub_download(model_id, WEIGHTS_FILE, **given))
        description = read_header(weights)
        if (kind := description["kind"]) != cls.kind:
            raise DataError(f"{model_id} is a snapshot of kind {_short(kind)}; this class reads {cls.kind!r}")
        record = cls._record_of(description, model_id)
        check_shapes(cls, record, weights)
        model = cls(record)
        model.load_state_dict(load_file(weights, device=str(map_location)))  # type: ignore[attr-defined]
        check_finite(model, model_id, "its training diverged, or the file was damaged: take an earlier snapshot")
        model.provenance = description["provenance"]
        return model.to(map_location).to(memory_format=cls.memory_format).eval()  # type: ignore[attr-defined]

    @classmethod
    def _record_of(cls, description: dict[str, Any], model_id: str) -> Any:
        try:
            return cls.config_class.model_validate(description["network"])
        except RecursionError as error:
            raise DataError(f"{model_id}: its configuration is nested beyond measure") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = printable(".".join(map(str, first["loc"])), longest=100)
            if isinstance(first["input"], dict):  # a rule about several keys names them itself
                message = printable(first["msg"].removeprefix("Value error, "))
                raise DataError(f"{model_id}: its configuration cannot be built: {message}") from error
            raise DataError(
                f"{model_id}: its configuration has {where} = {_short(first['input'])} ({first['msg']}); it was "
                f"written by version {_short(description.get('sase_gan'))}, this is {__version__}: update sase_gan"
            ) from error


def _short(value: object) -> str:
    """Write a value of any size in a few characters; a version bare.

    Example:
        >>> _short("0.1.0"), _short(48), _short("narrow")
        ('0.1.0', '48', "'narrow'")
    """
    text = value if isinstance(value, str) and value.replace(".", "").isalnum() and "." in value else repr(value)
    return printable(text, longest=80)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested records, with names such as "data count"."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        flat.update(_flat(value, f"{name} ") if isinstance(value, dict) else {name: value})
    return flat


def snapshot_digest(folder: Path | str) -> str:
    """Return the SHA-256 of the weights file, whose header has the configuration: it names the model completely."""
    return file_digest(Path(folder) / WEIGHTS_FILE)


def check_replaceable(folder: Path) -> None:
    """Refuse a folder for a snapshot that holds something else, which would be lost.

    Raises:
        UsageError: unless it is missing, empty, or a snapshot.
    """
    if folder.exists() and not is_snapshot(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is no snapshot; choose another --out")


def is_snapshot(folder: Path | str) -> bool:
    """Tell whether the folder looks like a snapshot; its configuration is in the header of its weights."""
    return (Path(folder) / WEIGHTS_FILE).is_file()
