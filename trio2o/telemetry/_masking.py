"""What no log may hold, where it could stand in a URL."""

from __future__ import annotations

import re

_IN_PATH = re.compile(
    r"(?<=/os-console-auth-tokens/)[^/]+"  # the id is the secret
    r"|gAAAA[\w%=-]+"  # a Fernet token
    r"|eyJ[\w%=.-]{20,}"  # a signed one (JWS)
)
_IN_QUERY = re.compile(
    r"(?<![^&;])([^=&;]*(?:token|passw|adminpass|secret|signature|key_data|user_data)[^=&;]*)=[^&;]*",
    re.I,
)
_ODD = re.compile(rb"/os-console-auth-tokens/|gAAAA|eyJ|[^ -~]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def masked(path: bytes, query: bytes = b"") -> str:
    """Path and query as they may be written down."""
    if not query and not _ODD.search(path):
        return path.decode("ascii")
    text = _IN_PATH.sub("***", path.decode("latin-1"))
    if query:
        shown = _IN_PATH.sub("***", query.decode("latin-1"))
        text += "?" + _IN_QUERY.sub(r"\1=***", shown)
    return _CONTROL.sub("?", text)
