"""Coverage: the families of a village eligible for each service, and the families served."""
