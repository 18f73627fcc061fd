"""Webhooks: signed hints, sent at least once, that the feed has new entries; a hint never contains the entries."""
