"""The code that every area uses. It knows nothing about plans."""
