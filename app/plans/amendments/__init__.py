"""What shall replace the revision in force, drafted beside it, with a reason for each change that needs one."""
