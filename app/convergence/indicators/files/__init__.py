"""Publishers' tables of indicators: one cell, and a table of them."""
