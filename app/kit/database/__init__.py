"""Engines, sessions, errors, the journal and the SQL that compiles for both engines."""
