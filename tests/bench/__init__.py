"""CPU per request beside nginx and a naive proxy, in one run: `make bench`."""
