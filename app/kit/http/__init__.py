"""A request and its reply: routing, validation, ETags, pages, preconditions, stored replies."""
