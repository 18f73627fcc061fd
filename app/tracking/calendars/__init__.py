"""Opening, due and closing days of quarters: data, by region, with their legal basis."""
