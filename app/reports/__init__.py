"""Reports over regions, one file each: what a row says, the SELECT, what may be asked; `definition` does the rest."""
