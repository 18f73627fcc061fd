"""The one reading of a table in a sheet: its header, by the layout of its fields."""
