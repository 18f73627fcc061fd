"""The published OpenAPI document, generated from the routes."""
