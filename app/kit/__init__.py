"""What every area stands on. Knows nothing about plans."""
