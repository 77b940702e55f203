"""One error tree. Each error knows the HTTP status it stands for; faces give it their shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio2o.domain.versions import Version


class Fault(Exception):
    """A call that is refused or failed. `message` is written for the tenant.

    `kind` names the error where an API wants more than the status (Neutron's `type`).
    """

    status = 500

    def __init__(self, message: str, *, kind: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.retry_after = retry_after


class BadRequest(Fault):
    status = 400


class Unauthorized(Fault):
    status = 401


class Forbidden(Fault):
    status = 403


class NotFound(Fault):
    status = 404


class MethodNotAllowed(Fault):
    status = 405

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class NotAcceptable(Fault):
    """A microversion that is not served."""

    status = 406

    def __init__(self, message: str, version: Version) -> None:
        super().__init__(message)
        self.version = version


class Conflict(Fault):
    status = 409


class Gone(Fault):
    status = 410


class TooLarge(Fault):
    status = 413


class UnsupportedMediaType(Fault):
    status = 415


class Unprocessable(Fault):
    status = 422


class TooManyRequests(Fault):
    """One project asks for more than its share."""

    status = 429


class NotImplementedHere(Fault):
    status = 501


class Unavailable(Fault):
    """What is asked for cannot be reached now; it may be later."""

    status = 503

    def __init__(self, message: str, *, retry_after: int = 10) -> None:
        super().__init__(message, retry_after=retry_after)


class GatewayTimeout(Fault):
    """A pod took a call and did not answer in time: what became of it is not known."""

    status = 504


IMAGES = "the image service"


def named(pod: str) -> str:
    return "The image service" if pod == IMAGES else f"Pod {pod}"


class PodUnavailable(Unavailable):
    """A pod cannot be reached; nothing of the call was done there."""

    def __init__(self, pod: str, why: str) -> None:
        super().__init__(f"{named(pod)} is unavailable at the moment.")
        self.pod = pod
        self.why = why


class PodTimeout(GatewayTimeout):
    """A pod did not answer, or broke off, after the call was sent."""

    def __init__(self, pod: str, why: str) -> None:
        super().__init__(f"{named(pod)} did not answer.")
        self.pod = pod
        self.why = why


class StoreConflict(Exception):
    """A row that must be unique is there already."""
