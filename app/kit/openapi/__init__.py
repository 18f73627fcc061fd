"""The published document, made from the routes."""
