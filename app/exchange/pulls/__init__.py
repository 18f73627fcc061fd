"""A quarter in one go: every line with its report, of one state, in four formats, and the hashes to compare by."""
