"""The area over HTTP, a module for each room; none imports another."""
