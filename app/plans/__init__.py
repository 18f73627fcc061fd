"""The aggregate: a plan with its priority locations, its actions and all that a line holds."""
