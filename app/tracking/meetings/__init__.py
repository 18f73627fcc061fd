"""Coordination meetings of a region and the joint commitments that come out of them."""
