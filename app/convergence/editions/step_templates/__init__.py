"""What the steps of a year are: templates by edition, and which of them a region's year follows."""
