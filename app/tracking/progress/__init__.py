"""Reports on the lines of a plan: shapes, tables, figures and findings."""
