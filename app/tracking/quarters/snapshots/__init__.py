"""Snapshots of frozen quarters, byte for byte, with numbered amendments."""
