"""When a metric has no meaning for what it was given."""


class NotApplicable(ValueError):
    """Too few pictures, too small ones, or pictures without variation; the text names the bound."""
