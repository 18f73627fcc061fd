"""What counts: service packages and methods by edition, and which edition a region's year is measured by."""
