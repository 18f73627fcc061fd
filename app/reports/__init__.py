"""Reports over regions, one file each: what a row says, the SELECT, what may be asked; `frame` does the rest."""
