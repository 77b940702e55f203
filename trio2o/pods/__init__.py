"""The clouds behind us: what they are, where their services are, and sending them calls."""

from trio2o.pods._capacity import Capacity
from trio2o.pods._own import OwnCalls, document
from trio2o.pods._pods import Pods, Target
