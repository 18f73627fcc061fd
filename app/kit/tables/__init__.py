"""Tables in sheets: the header by the layout of its fields, and candidates for the names in cells."""
