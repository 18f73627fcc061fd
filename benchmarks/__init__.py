"""Each hot call beside its limit and beside the way it would usually be written, in one run."""
