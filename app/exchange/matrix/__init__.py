"""The matrix as bytes and as checked lines: pure, knows no database and no plan."""
