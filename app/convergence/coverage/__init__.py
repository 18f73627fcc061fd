"""Coverage: how many of a village's families are eligible for each service, and how many are served."""
