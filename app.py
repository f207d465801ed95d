"""The studio as a hosted demo: `python app.py` opens it with the bundled model, as `sase-gan studio` does."""

import os
import sys

from sase_gan.cli import main

if __name__ == "__main__":
    # A hosting platform says by this variable that it listens from outside; visitors then need the password that its
    # owner set as the secret SASE_GAN_AUTH, of the form NAME:PASSWORD.
    hosted = os.environ.get("SASE_GAN_HOST")
    password = os.environ.get("SASE_GAN_AUTH")
    sys.argv[1:1] = [
        "studio",
        *(["--host", hosted] if hosted else []),
        *(["--auth", password] if password else []),
    ]
    main()
