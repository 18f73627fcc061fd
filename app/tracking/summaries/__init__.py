"""What the reports of a plan or a region sum up to at a period."""
