"""How a plan moves from its first draft to the decree, and what may be written meanwhile."""
