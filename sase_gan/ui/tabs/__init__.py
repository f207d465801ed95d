"""The studio's tabs: components and events, one file each; no tab imports another."""
