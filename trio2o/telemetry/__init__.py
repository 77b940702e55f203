"""What Trio2o tells about itself: metrics, the access log, the audit log."""

from trio2o.telemetry._lines import Lines
from trio2o.telemetry._masking import masked
from trio2o.telemetry._metrics import Figure, Metrics
from trio2o.telemetry._telemetry import Telemetry
from trio2o.telemetry._trace import LEFT, Ended, Trace

__all__ = ["LEFT", "Ended", "Figure", "Lines", "Metrics", "Telemetry", "Trace", "masked"]
