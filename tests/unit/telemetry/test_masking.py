"""What no log may hold is not in a path or query as it is written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio2o.telemetry import masked

FERNET = "gAAAAABm-token_0123456789=="


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("/v2.1/servers/1", "", "/v2.1/servers/1"),
        ("/v2.1/servers", "limit=2&marker=x", "/v2.1/servers?limit=2&marker=x"),
        ("/v2.1/os-console-auth-tokens/abc", "", "/v2.1/os-console-auth-tokens/***"),
        ("/v2.1/p/os-console-auth-tokens/abc", "", "/v2.1/p/os-console-auth-tokens/***"),
        (f"/v2.1/{FERNET}/x", "", "/v2.1/***/x"),
        ("/v3/x", f"a=1&x={FERNET}", "/v3/x?a=1&x=***"),
        ("/v3/x", "X-Auth-Token=abc&b=2", "/v3/x?X-Auth-Token=***&b=2"),
        ("/v3/x", "adminPass=abc;b=2", "/v3/x?adminPass=***;b=2"),
        ("/v3/x", "user_data=abc", "/v3/x?user_data=***"),
        ("/v3/x", "temp_url_signature=abc&b", "/v3/x?temp_url_signature=***&b"),
        ("/v3/x", "name=passage", "/v3/x?name=passage"),
        ("/v3/x\n", "a=\x1b[1m", "/v3/x??a=?[1m"),
    ],
)
def test_secrets_are_masked_and_nothing_else(path: str, query: str, shown: str) -> None:
    assert masked(path.encode("latin-1"), query.encode("latin-1")) == shown


@given(st.binary(), st.binary())
def test_any_bytes_are_one_line(path: bytes, query: bytes) -> None:
    assert len(masked(path, query).splitlines()) <= 1
