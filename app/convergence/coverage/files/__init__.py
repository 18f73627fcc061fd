"""Coverage from files: tables read cell by cell, and the villages that they name."""
