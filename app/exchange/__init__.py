"""The matrix of the offices in and out."""
