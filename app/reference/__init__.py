"""Reference data for every area: regions, nomenclature, funding sources, strategies."""
