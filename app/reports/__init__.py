"""Reports over regions. Each file declares a row, a SELECT and a query; `definition` makes the list and the CSV."""
