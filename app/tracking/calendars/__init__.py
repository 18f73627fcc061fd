"""When a quarter opens, is due and closes: data, by region, with its legal basis."""
