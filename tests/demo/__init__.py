"""A tenant's day on Trio2o in front of two real clouds, typed and checked: `make demo`."""
