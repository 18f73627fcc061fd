"""Frozen revisions of plans: signed content, by instrument of adoption."""
