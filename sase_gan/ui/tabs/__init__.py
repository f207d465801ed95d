"""The studio's tabs: what each does and how it is laid out, one file each; no tab imports another."""
