"""Train an image generator from very few pictures, and see honestly how good and how original it is."""

__version__ = "0.1.0"
