"""What every area is built on; it knows nothing about plans."""
