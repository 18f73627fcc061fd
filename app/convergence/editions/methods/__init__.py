"""Service packages and methods: what counts, and how it is weighed."""
