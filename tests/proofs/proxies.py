"""Debian's nginx with the shipped configuration in front of a service."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.docs.pages import ROOT
from tests.docs.server import free_port
from tests.hostile.service import Service
from tests.proofs.programs import find_program

SHIPPED = ROOT / "deploy"
IMPATIENT = {
    "client_header_timeout 30s": "client_header_timeout 2s",
    "client_body_timeout 30s": "client_body_timeout 2s",
    "lingering_time 30s": "lingering_time 2s",
    "send_timeout 30s": "send_timeout 2s",
    "keepalive_timeout 30s": "keepalive_timeout 2s",
    "limit_conn all 500": "limit_conn all 30",
    "limit_conn address 100": "limit_conn address 20",
}
"""Values of the shipped configuration → values for tests."""


def substitute(text: str, changes: Mapping[str, str]) -> str:
    """Replace each pattern. Raises AssertionError unless it occurs exactly once in a directive."""
    for old, new in changes.items():
        pattern = rf"(?m)^(\s*){re.escape(old)}(?=[ ;])"
        assert len(re.findall(pattern, text)) == 1, f"not once in deploy/nginx.conf: {old}"
        text = re.sub(pattern, lambda match, new=new: match[1] + new, text)
    return text


def enable_tls(text: str, certificates: Path) -> str:
    """Uncomment the lines of TLS, replacing the plain port, with the certificate of a folder."""
    text = substitute(text, {"listen 80": "# listen 80"})
    text, count = re.subn(r"(?m)^(\s*)# (listen 443 ssl|ssl_)", r"\1\2", text)
    assert count == 5
    assert text.count("/etc/nginx/tls/") == 2
    return text.replace("/etc/nginx/tls/", f"{certificates}/")


@contextmanager
def run_proxy(
    service: Service, folder: Path, changes: Mapping[str, str] = IMPATIENT, *, tls: Path | None = None
) -> Iterator[Service]:
    """Run nginx with the shipped configuration; `tls` is a folder with certificate and key."""
    nginx, port = find_program("nginx", "nginx-light"), free_port()
    text = (SHIPPED / "nginx.conf").read_text()
    if tls is not None:
        text = enable_tls(text, tls)
    listen = "listen 80" if tls is None else "listen 443"
    addresses = {listen: f"listen 127.0.0.1:{port}", "server rata:8000": f"server 127.0.0.1:{service.port}"}
    text = substitute(text, {**changes, **addresses})
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(text)
    (folder / "problems.conf").write_text((SHIPPED / "problems.conf").read_text())
    command = [nginx, "-c", folder / "nginx.conf", "-g", f"daemon off; pid {folder}/pid;"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        proxy = replace(service, port=port, process=process.pid, log=folder / "log")
        try:
            _wait(proxy, process)
            yield proxy
        finally:
            process.terminate()
            process.wait(60)


def _wait(proxy: Service, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        try:
            with proxy.open_line():
                return
        except OSError:
            assert process.poll() is None, proxy.log.read_text()
            time.sleep(0.05)
    raise AssertionError(proxy.log.read_text())
