"""Tables in files, .xlsx or CSV: a reader turns untrusted bytes into typed cells, writers return files."""
