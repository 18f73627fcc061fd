"""Reporting progress: a write of reports, held to the plan and to the quarter that they belong to."""
