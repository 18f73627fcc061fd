"""Start of the service and of commands: settings, database, schema, reference data, logs, the server process."""
