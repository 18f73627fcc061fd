"""Commands of `rata` in processes of their own, forked from one that has imported the service.

A command takes three seconds of processor time to import what it needs, and the examples of the documentation run a
hundred of them. `forking(folder)` starts one process that imports everything, and returns an executable that behaves
as `rata` does: arguments, variables, working directory, standard streams, exit code and signals are the caller's.
"""

import array
import gc
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

START_SECONDS = 60

_CALL = """#!/bin/sh
exec {python} -I -S -c '
import array, json, os, signal, socket, sys
service = socket.socket(socket.AF_UNIX)
service.connect(sys.argv[1])
asked = json.dumps([sys.argv[2:], dict(os.environ), os.getcwd()]).encode()
streams = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
service.sendmsg([len(asked).to_bytes(4, "big")], streams)
service.sendall(asked)
answers = service.makefile("rb")
child = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, lambda number, frame: os.kill(child, number))
code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
' {address} "$@"
"""
"""What stands in for `rata`: it hands over its streams and waits for the exit code."""


@contextmanager
def forking(folder: Path) -> Iterator[Path]:
    """Yield an executable `rata` in `folder`, whose commands are forked from one process."""
    address, command = folder / "forks", folder / "rata"
    command.write_text(_CALL.format(python=shlex.quote(sys.executable), address=shlex.quote(str(address))))
    command.chmod(0o755)
    with subprocess.Popen([sys.executable, "-m", "tests.forked", str(address)]) as service:
        try:
            end = time.monotonic() + START_SECONDS
            while not address.exists():
                assert service.poll() is None, "what forks has ended"
                assert time.monotonic() < end, "what forks does not begin"
                time.sleep(0.05)
            yield command
        finally:
            service.terminate()


def serve(address: str) -> None:
    """Fork a process for each caller, until this one is ended."""
    gc.disable()
    from app.cli import PLACES  # imported by the process that forks alone
    from app.main import create_app  # noqa: F401
    from app.wiring import wire

    for place in set(PLACES.values()):
        __import__(place)
    wire()
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those that answer ended
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen(50)
    Path(f"{address}.new").rename(address)
    while True:
        caller, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _answer(caller)
        caller.close()


def _answer(caller: socket.socket) -> NoReturn:
    """Run one command in a child, and report its number and its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    streams = array.array("i")
    head, ancillary, _, _ = caller.recvmsg(4, socket.CMSG_SPACE(3 * streams.itemsize))
    for _, _, sent in ancillary:
        streams.frombytes(sent)
    body = caller.makefile("rb")
    words, environment, folder = json.loads(body.read(int.from_bytes(head, "big")))
    child = os.fork()
    if child == 0:
        caller.close()
        body.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, max(streams) + 1)
        _run(words, environment, folder)
    for stream in streams:
        os.close(stream)
    caller.sendall(b"%d\n" % child)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    caller.sendall(b"%d\n" % code)
    os._exit(0)


def _run(words: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    """Be the command."""
    from app.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["rata", *words]
    main()
    sys.exit()


if __name__ == "__main__":
    serve(sys.argv[1])
