"""What catalogues and registers harvest: the catalogue, and plans in force as IATI."""
