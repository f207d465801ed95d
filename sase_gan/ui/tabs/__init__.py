"""The studio's tabs, one file each; no tab imports another."""
