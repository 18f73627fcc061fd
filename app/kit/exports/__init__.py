"""Large contents: made once, kept as files, sent whole or in part."""
