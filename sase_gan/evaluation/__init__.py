"""What the command `evaluate` does: pictures and a real set in, a record and its folder out."""
