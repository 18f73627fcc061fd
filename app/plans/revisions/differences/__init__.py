"""What differs between two editions of a plan, field by field and in its sums."""
