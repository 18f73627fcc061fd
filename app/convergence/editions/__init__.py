"""Editions: service packages, methods and step templates, and each region's choice of them for a year."""
