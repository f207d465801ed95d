"""From a record to a page; imports neither torch nor a network."""
