"""Frozen feature networks and the files of their weights."""
