"""Drafts of a plan's next revision, with a reason for each change that needs one."""
