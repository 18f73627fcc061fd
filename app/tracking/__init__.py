"""Progress of plans by quarter: money spent, outputs, recipients; always cumulative to the end of the quarter."""
