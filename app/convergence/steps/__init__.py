"""Progress of regions on the steps of a year: evidence, grades of machine and panel, score of the process."""
