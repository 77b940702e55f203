"""Drivers that stand in for hardware, loaded into the stock services of a pod."""
