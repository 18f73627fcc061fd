"""Webhooks: other systems are told that the feed has something new, signed, at least once, and never what."""
