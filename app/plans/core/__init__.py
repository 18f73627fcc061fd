"""A plan itself: key, priority locations, state, and in which state it may be written."""
