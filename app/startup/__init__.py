"""What comes before the first request: settings, database, schema, reference data, logs, the server process."""
