"""Start the server: on this machine only, in an empty folder, with limits, and cleaned up afterwards."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from sase_gan.errors import UsageError
from sase_gan.ui.guards import FewTries, OwnOrigin, Unframed
from sase_gan.ui.limits import Limits
from sase_gan.ui.sweeping import keep_swept

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_WAITING = 64


def _share_heaps() -> None:
    """Let threads share two heaps, where the C library has them.

    Each of the server's many short-lived threads would get one of its own, whose freed pictures no other one reuses:
    sixteen visitors made the process grow from 785 to 927 MB in two minutes; with two heaps it stayed at 781 MB.
    """
    arena_max = -8  # M_ARENA_MAX of malloc.h
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(arena_max, 2)


def _check_own_name(host: str) -> None:
    """Refuse to begin where this machine does not know itself by the name that gradio asks its server by."""
    name = "localhost" if host == "0.0.0.0" else host
    try:
        socket.getaddrinfo(name, None)
    except socket.gaierror as error:
        raise UsageError(
            f"this machine does not know the name {name} ({error.strerror}), by which the studio asks whether it is "
            "open; add a line such as 127.0.0.1 localhost to /etc/hosts, or give another --host"
        ) from error


def serve(
    models: Sequence[Path],
    runs: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: tuple[str, str] | None = None,
    device: str = "auto",
    max_upload_mb: int = 200,
    limits: Limits | None = None,
    browser: bool = False,
    opened: Callable[[str], None] = lambda address: None,
) -> None:
    """Start the studio and wait until it is stopped; `opened` is told its address.

    The process moves to an empty temporary folder, which also takes uploads and pictures and is removed at the end:
    whatever a visitor makes the server look for, there is nothing of the user's in reach. Read it straight down: every
    line changes the process for those after it.

    Raises:
        UsageError: for an address beyond this machine without a password, a machine that does not know its own name, or
            a port that is taken.
    """
    if host not in LOOPBACK and auth is None:
        raise UsageError(
            f"--host {host} opens the studio to others; give --auth NAME:PASSWORD too, or leave --host out for this "
            "machine alone"
        )
    _check_own_name(host)
    if sys.platform == "linux":
        _share_heaps()
    temporary = Path(tempfile.mkdtemp(prefix="sase-gan-studio-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    # Read by gradio when it is imported.
    os.environ["GRADIO_TEMP_DIR"] = str(temporary)
    places, runs = [place.resolve() for place in models], runs.resolve()

    from sase_gan.hardware import choose_hardware
    from sase_gan.ui.assets import asset
    from sase_gan.ui.models import Models
    from sase_gan.ui.studio import build_blocks, theme
    from sase_gan.ui.trainings import Trainings

    blocks = build_blocks(Models(places, choose_hardware(device).device), Trainings(runs, device=device, limits=limits))
    os.chdir(temporary)
    keep_swept(temporary)
    middleware = [Middleware(Unframed), Middleware(OwnOrigin), Middleware(FewTries)]
    if host in LOOPBACK:
        # A foreign name that is made to point here does not open the studio.
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)))
    off = ("share", "run_history", "enable_monitoring", "show_error", "ssr_mode", "pwa", "mcp_server")
    options: dict[str, Any] = {
        **dict.fromkeys(off, False),
        "server_name": host,
        "server_port": port,
        "allowed_paths": None,
        "max_file_size": f"{max_upload_mb}mb",
        "footer_links": ["api", "settings"],
        "auth": auth,
        "theme": theme(),
        "css": asset("studio.css"),
        "js": asset("studio.js"),
        "head": f"<style>{asset('phone.css')}</style>",
        "quiet": True,
        "inbrowser": browser,
        "state_session_capacity": 200,
        "app_kwargs": {"middleware": middleware},
        "prevent_thread_lock": True,
        # The page is not asked for once more at the start: a machine that is busy answers later than the three seconds
        # that gradio waits, and ended there. That the server answers is known by then, from a request without a limit.
        "_frontend": False,
    }
    try:
        _, address, _ = blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=4).launch(**options)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used; choose another --port, or leave it out") from error
    if threading.current_thread() is threading.main_thread():
        # A polite kill leaves no temporary folder either.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    opened(address)
    try:
        blocks.block_thread()
    finally:
        blocks.close(verbose=False)
        os.chdir("/")
        shutil.rmtree(temporary, ignore_errors=True)
