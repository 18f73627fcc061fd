"""The convergence index, computed from plain inputs."""
