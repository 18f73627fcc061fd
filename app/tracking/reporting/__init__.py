"""Writes of reports. They obey the state of the plan and of the quarter."""
