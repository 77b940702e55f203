"""The clouds behind us: what they are, where their services are, and sending them calls."""

from trio2o.pods._pods import HOP_BY_HOP, Pods, Target

__all__ = ["HOP_BY_HOP", "Pods", "Target"]
