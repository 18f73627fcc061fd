"""What every area refers to: regions, nomenclature, funding sources, strategies."""
