"""A Debian machine of its own for a proof: systemd in namespaces, on a copy of this machine's files that vanishes.

The copy is an overlay in memory: what the machine writes reaches no file outside, and ends with it. It has a network of
its own, without a way out, so its ports are free and packages come from a folder.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.programs import find_program

CGROUPS = Path("/sys/fs/cgroup")
NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 120

_BOOT = r"""
set -eu
home=$1 root=$1/root
mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$home"
mkdir "$home/upper" "$home/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$home/upper,workdir=$home/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for place in run tmp dev; do mount -t tmpfs -o mode=0755 tmpfs "$root/$place"; done
chmod 1777 "$root/tmp"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -m 1777 "$root/dev/shm"
mkdir "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"; done
ip link set lo up
: > "$root/etc/machine-id"
exec env -i container=proof PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd --unit=basic.target --show-status=false
"""


class Machine:
    """A running machine."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(
        self, text: str, *, folder: str = "/", is_checked: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run shell text as root, as after a login. Fails the test if a line fails."""
        enter = [
            "nsenter",
            f"--target={self._leader}",
            "--all",
            "--root",
            f"--wd=/proc/{self._leader}/root{folder}",
        ]
        settings = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **environment}
        done = subprocess.run(
            [*enter, "/bin/sh", "-eux", "-c", text],
            env=settings,
            text=True,
            check=False,
            capture_output=True,
            timeout=900,
        )
        if is_checked and done.returncode:
            pytest.fail(
                f"exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}", pytrace=False
            )
        return done

    def add_files(self, archive: bytes, folder: str) -> None:
        """Unpack a tar archive into a folder of the machine."""
        enter = ["nsenter", f"--target={self._leader}", "--all", "--root", "--wd"]
        unpack = f"mkdir -p {folder} && tar --extract --no-same-owner --directory={folder}"
        subprocess.run([*enter, "/bin/sh", "-c", unpack], input=archive, check=True, env={"PATH": PATH})


@contextlib.contextmanager
def booting(folder: Path) -> Iterator[Machine]:
    """Boot a machine, and end all of it. Fails the test where that needs rights or programs that are missing."""
    if os.geteuid() != 0:
        pytest.fail("a machine of its own needs root: run this group as root", pytrace=False)
    for name, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("systemctl", "systemd")):
        find_program(name, package)
    group = _version_2() / f"rata-proof-{os.getpid()}"
    group.mkdir()
    log = folder / "boot.log"
    into = f"echo $$ > {group}/cgroup.procs"
    join = f'{into} && exec unshare {" ".join(NAMESPACES)} --fork --kill-child sh -c "$0" sh "$1"'
    home = folder / "machine"
    home.mkdir()
    try:
        with (
            log.open("w") as out,
            subprocess.Popen(["sh", "-c", join, _BOOT, home], stdout=out, stderr=out) as outer,
        ):
            try:
                yield _wait(outer, log)
            finally:
                outer.send_signal(signal.SIGKILL)
                outer.wait(PATIENCE)
    finally:
        _remove(group)


def _wait(outer: "subprocess.Popen[bytes]", log: Path) -> Machine:
    """Return the machine once its systemd has started everything that belongs to the basic system."""
    until = time.monotonic() + PATIENCE
    while outer.poll() is None and time.monotonic() < until:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            machine = Machine(int(children[0]))
            if machine.run("systemctl is-active basic.target", is_checked=False).returncode == 0:
                return machine
        time.sleep(0.2)
    pytest.fail(f"the machine does not boot:\n{log.read_text()}", pytrace=False)


def _version_2() -> Path:
    """Return where the second version of control groups is mounted."""
    return next(path for path in (CGROUPS, CGROUPS / "unified") if (path / "cgroup.procs").exists())


def _remove(group: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        for path in sorted(group.rglob("*"), reverse=True):
            if path.is_dir():
                with contextlib.suppress(OSError):
                    path.rmdir()
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        assert time.monotonic() < until, f"processes are left in {group}"
        time.sleep(0.2)


def load_wheels(folder: Path, lock: Path) -> bytes:
    """Download the packages of a lock for Debian's own Python. Returns them as a tar archive."""
    loader, wheels = folder / "loader", folder / "wheels"
    subprocess.run(["/usr/bin/python3", "-m", "venv", loader], check=True)
    pip = [loader / "bin" / "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, "--requirement", lock, "--dest", wheels], check=True)
    return pack(wheels, [path.name for path in wheels.iterdir()])


def pack(folder: Path, names: list[str]) -> bytes:
    """Return files of a folder as a tar archive."""
    command = ["tar", "--create", "--directory", folder, "--null", "--files-from=-"]
    return subprocess.run(command, input="\0".join(names).encode(), stdout=subprocess.PIPE, check=True).stdout
