"""Export of a quarter: every line with its report, from one snapshot, in four formats, and digests of the lines."""
