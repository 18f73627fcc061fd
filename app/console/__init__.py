"""Commands of the operator on the server, a module per subject."""
