"""The bodies of a region: who leads and who supports its actions."""
