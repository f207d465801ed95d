"""The studio as a hosted demo: `python app.py` opens it with the bundled model, as `sase-gan studio` does, in limits.

Whatever it writes lies below its own folder: what visitors make in `runs`, uploads and caches in `.cache`.
"""

import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CACHE = FOLDER / ".cache"
LIMITS = ("--max-upload-mb", "50", "--max-minutes", "15", "--max-runs-gb", "4")


def stay_here() -> None:
    """Lead all libraries' caches and temporary files below this folder; those of an earlier start, killed, go."""
    temporary = CACHE / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    os.environ["TMPDIR"] = str(temporary)
    # A platform may have a home that nobody can write to, or none.
    os.environ.update(dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(CACHE)))
    os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)


def arguments() -> list[str]:
    """Read from the platform's variables how to listen, and to whom; what is given on the command line rules."""
    # The second one is how platforms tell programs with a gradio page that they listen from outside.
    hosted = os.environ.get("SASE_GAN_HOST") or os.environ.get("GRADIO_SERVER_NAME")
    password, port = os.environ.get("SASE_GAN_AUTH"), os.environ.get("PORT")
    if hosted and not password:
        sys.exit(
            f"app.py: it is to listen at {hosted}, and visitors have no password; set the secret SASE_GAN_AUTH to "
            "NAME:PASSWORD"
        )
    return [
        *("studio", "--runs", str(FOLDER / "runs"), *LIMITS),
        *(["--host", hosted] if hosted else []),
        *(["--auth", password] if password else []),
        *(["--port", port] if port else []),
    ]


if __name__ == "__main__":
    sys.argv[1:1] = arguments()
    stay_here()
    # Not before: libraries read on import where they may write.
    from sase_gan.cli import main

    main()
