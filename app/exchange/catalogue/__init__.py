"""Catalogue (DCAT-AP) of plans in force and frozen quarters, for data portals to harvest."""
