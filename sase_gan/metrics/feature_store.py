"""The feature store: features of picture sets, extracted once, and used by every metric.

They are kept under a key of everything that they depend on: one safetensors file for each (pictures, extractor,
weights, resize, layer). A difference in any of them is another key, so a stale feature cannot be read. The folder is
`SASE_GAN_CACHE`, else `sase_gan` in `XDG_CACHE_HOME`, else `~/.cache/sase_gan`; the oldest files go when it grows
beyond 2 GB.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sase_gan.files import write_atomically
from sase_gan.metrics.extractors import Extractor
from sase_gan.progress import Count, batches

logger = logging.getLogger(__name__)

CACHE_LIMIT_BYTES = 2 * 10**9
_CACHE_VERSION = "1"


def default_cache_folder() -> Path:
    """Tell where features are kept, see the module."""
    if os.environ.get("SASE_GAN_CACHE"):
        return Path(os.environ["SASE_GAN_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sase_gan"


class FeatureStore:
    """A store keeps features in memory and, if a folder is given, on disk.

    Args:
        folder: None keeps nothing beyond this object.
        limit_bytes: of the folder.
    """

    def __init__(self, folder: Path | str | None = None, *, limit_bytes: int = CACHE_LIMIT_BYTES) -> None:
        self.folder = None if folder is None else Path(folder) / "features"
        self.limit_bytes = limit_bytes
        self.extracted = 0
        self._memory: dict[str, Tensor] = {}

    def features(
        self,
        images: Tensor,
        digest: str,
        extractor: Extractor,
        layers: Sequence[str],
        *,
        batch_size: int = 4,
        keep: bool = True,
        progress: Count | None = None,
    ) -> dict[str, Tensor]:
        """Give rows of every layer, float32 on the CPU, from the store or extracted now, in one pass for all missing.

        Args:
            images: uint8 [N, 3, H, W].
            digest: names the pictures and their order; any change of a picture must change it.
            batch_size: 4 is fastest on a CPU, where larger maps leave the cache.
            keep: whether new features are stored.
            progress: called after each batch.
        """
        stored = {layer: self._read(_key(digest, extractor, layer), len(images)) for layer in layers}
        found = {layer: rows for layer, rows in stored.items() if rows is not None}
        missing = [layer for layer in layers if layer not in found]
        if missing:
            fresh = _extract(images, extractor, missing, batch_size, progress)
            self.extracted += len(images)
            for layer, rows in fresh.items():
                if keep:
                    self._write(_key(digest, extractor, layer), rows)
            found.update(fresh)
        return found

    def _read(self, key: str, n: int) -> Tensor | None:
        if key in self._memory:
            return self._memory[key]
        if self.folder is None:
            return None
        path = self.folder / f"{key}.safetensors"
        try:
            rows = load_file(path)["rows"]
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, OSError) as error:
            logger.warning("The stored features %s cannot be read (%s) and are made again.", path, error)
            return None
        if len(rows) != n:
            return None
        with suppress(OSError):
            os.utime(path)  # so that the oldest file is the one unused for longest
        self._memory[key] = rows
        return rows

    def _write(self, key: str, rows: Tensor) -> None:
        self._memory[key] = rows
        if self.folder is None:
            return
        try:
            with write_atomically(self.folder / f"{key}.safetensors") as temporary:
                save_file({"rows": rows.contiguous()}, temporary)
            self._prune()
        except OSError as error:
            # A full or read-only disk makes the next run slower; it must not end this one.
            logger.warning(
                "Features could not be stored in %s (%s); they will be made again next time.", self.folder, error
            )

    def _prune(self) -> None:
        assert self.folder is not None
        files = sorted(self.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        for path in files[:-1]:
            if total <= self.limit_bytes:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def _extract(
    images: Tensor, extractor: Extractor, layers: Sequence[str], batch_size: int, progress: Count | None
) -> dict[str, Tensor]:
    collected: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with torch.inference_mode():
        for batch in batches(images, batch_size, progress):
            out = extractor.describe(batch, layers)
            for layer in layers:
                collected[layer].append(out[layer].float().cpu())
    # A clone outside inference mode, so that rows may be used anywhere.
    return {layer: torch.cat(rows).clone() for layer, rows in collected.items()}


def _key(digest: str, extractor: Extractor, layer: str) -> str:
    parts = (_CACHE_VERSION, digest, extractor.name, extractor.weights_sha256, extractor.resize, layer)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:40]
