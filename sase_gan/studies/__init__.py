"""Studies: a matrix of arms, sets and seeds, carried out cell by cell, and its table."""
