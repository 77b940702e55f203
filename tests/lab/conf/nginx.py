"""nginx: keep-alive HTTP in front of the uWSGI sockets, one process for each region."""

import os
from pathlib import Path

from .. import settings, topology

# nginx buffers request bodies, so what came in chunks goes on with a length; if Glance still saw
# the header, it would ask uWSGI for chunks that are no longer there.
_PARAMETERS = """\
  uwsgi_param QUERY_STRING $query_string;
  uwsgi_param REQUEST_METHOD $request_method;
  uwsgi_param CONTENT_TYPE $content_type;
  uwsgi_param CONTENT_LENGTH $content_length;
  uwsgi_param REQUEST_URI $request_uri;
  uwsgi_param PATH_INFO $document_uri;
  uwsgi_param SCRIPT_NAME "";
  uwsgi_param SERVER_PROTOCOL $server_protocol;
  uwsgi_param REQUEST_SCHEME $scheme;
  uwsgi_param REMOTE_ADDR $remote_addr;
  uwsgi_param REMOTE_PORT $remote_port;
  uwsgi_param SERVER_PORT $server_port;
  uwsgi_param SERVER_NAME $server_name;
  uwsgi_param HTTP_HOST $http_host;
  uwsgi_param HTTP_TRANSFER_ENCODING "";
"""
_KINDS = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")


def path_of(region: str) -> Path:
    return settings.ETC / f"{region}-nginx.conf"


def write(region: str, ports: dict[str, int]) -> None:
    """`ports` has the port of each API by the name of its process."""
    state = settings.RUN / "state"
    temporary = "".join(f"  {kind}_temp_path {state}/nginx-{kind};\n" for kind in _KINDS)
    servers = "".join(_server(name, port) for name, port in ports.items())
    path_of(region).write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        "worker_processes 1;\n"
        "daemon off;\n"
        f"pid {state}/{region}-nginx.pid;\n"
        f"error_log {settings.LOG}/{region}-nginx.log warn;\n"
        "events { worker_connections 4096; }\n"
        "http {\n"
        "  log_format calls '$time_iso8601 :$server_port $status $request_time \"$request\"';\n"
        f"  access_log {settings.LOG}/access.log calls;\n"
        "  client_max_body_size 0;\n"
        "  keepalive_timeout 300s;\n"
        "  keepalive_requests 1000000;\n"
        "  tcp_nodelay on;\n"
        "  uwsgi_read_timeout 300s;\n"
        "  uwsgi_max_temp_file_size 0;\n"
        f"{temporary}{_PARAMETERS}{servers}}}\n"
    )


def _server(name: str, port: int) -> str:
    listen = f"listen {topology.IP}:{port} backlog=1024;"
    to = f"uwsgi_pass unix:{settings.SOCK}/{name}.sock;"
    return f"  server {{ {listen} location / {{ {to} }} }}\n"
