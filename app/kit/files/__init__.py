"""Tables that people send as files, .xlsx or CSV: opened without trusting anything in them, typed cells out."""
