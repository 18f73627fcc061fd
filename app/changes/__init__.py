"""The history of a resource, and the feed of changes with which other systems keep a copy up to date."""
