"""Metrics of generated pictures: they know pictures and features, and no network of this package."""
