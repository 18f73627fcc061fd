"""What an operator does on the server itself: one file for each of the things that are operated."""
