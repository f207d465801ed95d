"""`python -m sase_gan` is `sase-gan`."""

from sase_gan.cli import main

main()
