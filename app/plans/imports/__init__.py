"""Imports: the files that wrote a plan, and the row of each line that one of them wrote last."""
