"""Authentication and rights: the caller of a request, and the regions and verbs its grants allow."""
