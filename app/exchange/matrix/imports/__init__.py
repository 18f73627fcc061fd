"""A matrix written into a plan: what its cells name, which lines they are, and what becomes of them."""
