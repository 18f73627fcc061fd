"""Who has reported a quarter, who has not, and by how many days it is late."""
