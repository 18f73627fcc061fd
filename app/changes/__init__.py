"""What changed: the history of a resource, and the feed by which other systems keep a true copy."""
