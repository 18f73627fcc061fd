"""Plans in force as IATI 2.03 activities, for whoever follows public money in that standard."""
