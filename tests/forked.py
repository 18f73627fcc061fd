"""Python processes forked from one process that has imported the service.

Importing the service takes three seconds of processor time, and the suite runs more than a hundred commands.
`python_with_service` is an executable that behaves like `python -c` and `python -m`, with the caller's arguments,
variables, working directory, standard streams, exit code and signals.
"""

import array
import contextlib
import gc
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[1]
FOLDER = "TEST_FORKS"
"""Variable with the folder of the socket and the executable."""

_CALL = """#!/bin/sh
exec {python} -I -S -c '
import array, json, os, signal, socket, sys
service = socket.socket(socket.AF_UNIX)
service.connect(sys.argv[1])
request = json.dumps([sys.argv[2:], dict(os.environ), os.getcwd()]).encode()
streams = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
service.sendmsg([len(request).to_bytes(4, "big")], streams)
service.sendall(request)
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
"""The executable: it passes its streams to the forking process and waits for the exit code."""

RATA = "from app.cli import main; main()"
"""The program of the command `rata`."""


def share_with_workers(config: "pytest.Config") -> None:
    """Start the process that forks for the whole run; call this from `pytest_configure`."""
    if hasattr(config, "workerinput"):
        return
    shared = contextlib.ExitStack()
    config.add_cleanup(shared.close)
    folder = Path(shared.enter_context(tempfile.TemporaryDirectory(prefix="rata-forks-")))
    address, command = folder / "address", folder / "python"
    command.write_text(_CALL.format(python=shlex.quote(sys.executable), address=shlex.quote(str(address))))
    command.chmod(0o755)
    listening = shared.enter_context(socket.socket(socket.AF_UNIX))
    listening.bind(str(address))
    listening.listen(50)
    inherited = listening.fileno()
    # it ends when its input closes, so also if the run is killed
    words = [sys.executable, "-m", "tests.forked", str(inherited)]
    shared.enter_context(subprocess.Popen(words, pass_fds=[inherited], stdin=subprocess.PIPE, cwd=ROOT))
    os.environ[FOLDER] = str(folder)
    shared.callback(os.environ.pop, FOLDER, None)


def python_with_service() -> str:
    """Return the path of the executable."""
    return os.environ[FOLDER] + "/python"


def serve(listening: socket.socket) -> None:
    """Fork a process for each caller, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    is_prepared = False
    while select.select([listening.fileno(), 0], [], [])[0] == [listening.fileno()]:
        caller, _ = listening.accept()
        if not is_prepared:
            _prepare()
            is_prepared = True
        if os.fork() == 0:
            listening.close()
            _answer(caller)
        caller.close()


def _prepare() -> None:
    """Import the modules of all commands once, for all forks."""
    gc.disable()
    from app.cli import MODULES  # only the forking process imports it
    from app.main import create_app  # noqa: F401
    from app.wiring import wire

    for module in set(MODULES.values()):
        __import__(module)
    wire()
    gc.freeze()
    gc.enable()


def _answer(caller: socket.socket) -> NoReturn:
    """Run one command in a child; report its process id and exit code. Kill the child if the caller dies."""
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
    ended, _, _ = select.select([caller.fileno(), os.pidfd_open(child)], [], [])
    if ended == [caller.fileno()]:
        os.kill(child, signal.SIGKILL)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    caller.sendall(b"%d\n" % code)
    os._exit(0)


def _run(words: list[str], environment: dict[str, str], folder: str) -> NoReturn:
    """Run the program after `-c` or the module after `-m` in this process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    flag, program, *arguments = words
    sys.argv = [flag, *arguments]
    if flag == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(program, {"__name__": "__main__"})  # noqa: S102 - a test passes it
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
