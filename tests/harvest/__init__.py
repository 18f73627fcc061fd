"""What catalogues and registers harvest: plans in force as IATI."""
