"""What is in force and what was frozen, as a catalogue that data portals harvest (DCAT-AP)."""
