"""Import and export of the matrix, pulls of a quarter, IATI, and the catalogue."""
