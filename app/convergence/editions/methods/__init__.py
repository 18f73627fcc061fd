"""Service packages and methods: the services that count, and the weights of the index."""
