"""Coordination meetings of a region and the joint commitments made there."""
