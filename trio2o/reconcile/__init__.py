"""Reconcilers: passes that look for drift and mend it."""

from trio2o.reconcile._passes import Counted, Passes, Reconciler

__all__ = ["Counted", "Passes", "Reconciler"]
