"""Agencies: the bodies of a region that lead or support its actions."""
