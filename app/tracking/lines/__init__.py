"""The lines of quarters: those of the revision or the submission that a quarter's figures compare with."""
