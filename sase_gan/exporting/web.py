"""A page that draws in the browser: one folder for any web host, with no program on the server's side.

The folder holds the page (`exporting/page`), ONNX Runtime for browsers, and the model with what it says of itself. The
page finds everything beside itself, and asks for nothing from elsewhere.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sase_gan.errors import UsageError
from sase_gan.exporting.checking import Agreement
from sase_gan.exporting.onnx_file import write_onnx
from sase_gan.exporting.subject import Subject
from sase_gan.exporting.web_runtime import VERSION
from sase_gan.files import write_folder_atomically

PAGE = Path(__file__).parent / "page"
LARGEST_MODEL = 12_000_000
"""Bytes: what a visitor waits for gladly."""


def write_page(
    subject: Subject, folder: Path, description: Mapping[str, Any], runtime: Path, *, half: bool
) -> Agreement:
    """Write the folder, whole or not at all; one that was there is replaced.

    Args:
        description: of the model, for the page and its file.
        runtime: a folder of `web_runtime.runtime_folder`.
        half: store large weights in 16 bit, which they were rounded to (`half.round_weights`).

    Raises:
        SaseGanError: the model's file disagrees with the model.
    """
    with write_folder_atomically(folder) as temporary:
        for name in ("model", "page"):
            (temporary / name).mkdir()
        model = temporary / "model" / "model.onnx"
        agreement = write_onnx(subject, model, description, half=half)
        told = json.dumps(_told(subject, description, agreement, model.stat().st_size), indent=1, ensure_ascii=False)
        (temporary / "model" / "model.json").write_text(told + "\n", encoding="utf-8")
        (temporary / "model" / "card.md").write_text(str(description["card"]), encoding="utf-8")
        shutil.copytree(runtime, temporary / "runtime")
        for file in sorted(PAGE.iterdir()):
            if file.suffix in (".js", ".css"):
                shutil.copyfile(file, temporary / "page" / file.name)
        page = (PAGE / "index.html").read_text(encoding="utf-8")
        page = page.replace("{{name}}", html.escape(str(description["name"])))
        (temporary / "index.html").write_text(page, encoding="utf-8")
    return agreement


def _told(subject: Subject, description: Mapping[str, Any], agreement: Agreement, size: int) -> dict[str, Any]:
    """Gather what the page reads of its model."""
    ports = {port.name: port for port in subject.inputs}
    noise = [list(port.shape) for name, port in ports.items() if name.startswith("noise_")]
    return {
        **{name: value for name, value in description.items() if name not in ("inputs", "outputs")},
        "bytes": size,
        "runtime": VERSION,
        "latentShape": list(ports["z"].shape),
        "noiseShapes": noise,
        "mixing": "mix_with" in ports,
        "checked": agreement.in_words(),
    }


def serve_page(folder: Path, port: int, told: Callable[[str], None]) -> None:
    """Serve a folder to this computer alone, until it is interrupted.

    Args:
        port: 0 takes any that is free.
        told: is given the address.

    Raises:
        UsageError: the port is taken.
    """
    handler = partial(_Quiet, directory=str(folder))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used ({error.strerror}); choose another --port, or 0 for any"
        ) from error
    with server:
        told(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
