"""What came of the plans: outcomes, and how a region stands beside others."""
