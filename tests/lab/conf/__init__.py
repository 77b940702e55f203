"""The configuration files of every service in the lab, written anew by each `up`."""
