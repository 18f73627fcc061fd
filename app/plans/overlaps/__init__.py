"""Lines of different agencies that bring the same to the same people; an overlap can be explained."""
