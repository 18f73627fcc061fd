"""Money that a line may spend, compared with what its reports spent."""
