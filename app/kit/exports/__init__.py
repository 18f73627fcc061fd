"""Large exports: a thread writes each once into a file, requests send it whole or in part."""
