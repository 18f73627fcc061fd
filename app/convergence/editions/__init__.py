"""What has editions: service packages, methods and step templates, and which of them a region's year follows."""
