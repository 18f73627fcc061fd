"""Areas by name: cells that hold the name of one district or village, read within a region."""
