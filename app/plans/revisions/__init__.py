"""What was adopted stays as it was signed; what shall replace it is drafted beside it."""
