"""Rata: annual poverty-reduction action plans as data, pulled by machine every quarter."""
