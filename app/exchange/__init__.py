"""The matrix in and out, pulls, snapshots, jobs."""
