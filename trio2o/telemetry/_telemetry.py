"""All that is told of a call when it ends."""

from __future__ import annotations

import msgspec

from trio2o.telemetry._audit import READS, event
from trio2o.telemetry._lines import Lines
from trio2o.telemetry._masking import masked
from trio2o.telemetry._metrics import Metrics, operation
from trio2o.telemetry._trace import Ended, stamp


def access_line(ended: Ended) -> bytes:
    """One line of JSON."""
    trace, caller = ended.trace, ended.trace.caller
    return msgspec.json.encode(
        {
            "time": stamp(ended.at),
            "face": trace.face,
            "method": trace.method,
            "path": masked(trace.path, trace.query),
            "status": ended.status,
            "bytes": ended.size,
            "seconds": round(ended.seconds, 6),
            "pod": ",".join(trace.pods),
            "pod_seconds": round(trace.pod_seconds, 6),
            "operation": operation(trace.row) if trace.chosen else "",
            "project": caller.project_id if caller else "",
            "user": caller.user_id if caller else "",
            "client": trace.peer,
            "request_id": trace.request_id,
        }
    )


def audit_line(ended: Ended) -> bytes:
    return msgspec.json.encode(event(ended))


class Telemetry:
    """Metrics always; an access log and an audit log where they have a file ("-": stdout)."""

    def __init__(self, access_log: str = "", audit_log: str = "") -> None:
        """Raises `OSError` for a file that cannot be written."""
        self.metrics = Metrics()
        self._access = Lines(access_log, access_line) if access_log else None
        self._audit = Lines(audit_log, audit_line) if audit_log else None

    def ended(self, ended: Ended) -> None:
        """A call ended, its body included."""
        trace = ended.trace
        self.metrics.called(
            trace.face,
            trace.row,
            trace.chosen,
            ended.status,
            trace.pod,
            ended.seconds,
            trace.pod_seconds,
        )
        if self._access is not None:
            self._access.put(ended)
        if self._audit is not None and trace.method not in READS:
            self._audit.put(ended)

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return sum(lines.lost for lines in (self._access, self._audit) if lines is not None)

    def reopen(self) -> None:
        """The files may have been moved away."""
        for lines in (self._access, self._audit):
            if lines is not None:
                lines.reopen()

    def close(self) -> None:
        """Write what waits."""
        self.metrics.settle()
        for lines in (self._access, self._audit):
            if lines is not None:
                lines.close()
