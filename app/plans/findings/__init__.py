"""What a plan still has to mend (E) or should know (W): one ordered list of small rules."""
