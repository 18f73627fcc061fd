"""Frozen quarters, byte for byte, and their numbered amendments."""
