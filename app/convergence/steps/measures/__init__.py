"""What the figures of steps are computed from, counted in the database."""
