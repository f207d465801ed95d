"""Evaluation does what the command `evaluate` promises: pictures and a real set in, a record and its folder out."""
