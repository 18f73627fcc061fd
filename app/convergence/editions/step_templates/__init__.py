"""Step templates: the convergence steps of a year."""
