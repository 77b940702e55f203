"""Odd things to say to an API: ids, queries, headers, bodies."""

import json

from hypothesis import strategies as st

UUID = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
ODD = st.one_of(
    st.sampled_from(
        [
            UUID,
            UUID.upper(),
            UUID.replace("-", ""),
            "0",
            "-1",
            "1",
            "3000000007",
            "9" * 30,
            "detail",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("limit", "marker", "offset", "sort_key", "sort_dir", "sort", "changes-since", "name"),
        *(
            "all_tenants",
            "fields",
            "id",
            "status",
            "availability_zone",
            "page_reverse",
            "reservation_id",
        ),
    ]
)
KEYS = st.sampled_from(
    [
        *("server", "volume", "snapshot", "network", "port", "flavor", "keypair", "server_group"),
        *("pod", "pod_binding", "interfaceAttachment", "volumeAttachment", "addTenantAccess"),
        *("availability_zone", "networks", "block_device_mapping_v2", "name", "uuid", "id"),
        *("os-attach", "os-extend", "backup", "quota_set", "router", "subnet", "scheduler_hints"),
    ]
)
BODY = st.one_of(
    st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=2).map(
        lambda value: json.dumps(value).encode()
    ),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=30),
    st.just(b""),
)
HEADERS = st.lists(
    st.sampled_from(
        [
            "OpenStack-API-Version: compute 2.1",
            "OpenStack-API-Version: compute 2.9999",
            "OpenStack-API-Version: volume latest, compute latest",
            "OpenStack-API-Version: compute",
            "X-OpenStack-Nova-API-Version: 2.-1",
            "OpenStack-API-Version: volume 3.60",
            "Accept: text/html",
            "Accept-Encoding: gzip",
            "Content-Type: application/xml",
            "Content-Type: application/json",
            "Content-Type: application/json",
            "Content-Type: ;;",
            "X-Service-Token: nonsense",
            "X-Openstack-Request-Id: req-1\xff",
            "Connection: close, X-Auth-Token",
            "If-None-Match: *",
            "Range: bytes=5-1",
        ]
    ),
    max_size=3,
)
