"""Export of plans in force as IATI 2.03 activities."""
