"""A request and its reply: routing, validation, tags, pages, preconditions, stored replies."""
