"""Python in processes of their own that have the service imported: forked from one process that imported it.

To import the service takes three seconds of processor time, and the suite runs a hundred commands of it and more.
`python_with_service` is an executable that behaves as `python -c` and `python -m` do: arguments, variables, working
directory, standard streams, exit code and signals are the caller's.
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
"""Variable of the folder in which the run's process listens and the executable lies."""

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
"""What stands in for the process: it hands over its streams and waits for the exit code."""

RATA = "from app.cli import main; main()"
"""The program that `rata` is."""


def share_with_workers(config: "pytest.Config") -> None:
    """Called from `pytest_configure`: one process, which imports at its first call, forks for the whole run."""
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
    # it ends when its input does: also with a run that is killed
    words = [sys.executable, "-m", "tests.forked", str(inherited)]
    shared.enter_context(subprocess.Popen(words, pass_fds=[inherited], stdin=subprocess.PIPE, cwd=ROOT))
    os.environ[FOLDER] = str(folder)
    shared.callback(os.environ.pop, FOLDER, None)


def python_with_service() -> str:
    """Return the path of the executable."""
    return os.environ[FOLDER] + "/python"


def serve(listening: socket.socket) -> None:
    """Fork a process for each caller, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those that answer ended
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
    """Import what a command may need, which the processes that are forked share."""
    gc.disable()
    from app.cli import MODULES  # imported by the process that forks alone
    from app.main import create_app  # noqa: F401
    from app.wiring import wire

    for place in set(MODULES.values()):
        __import__(place)
    wire()
    gc.freeze()
    gc.enable()


def _answer(caller: socket.socket) -> NoReturn:
    """Run one command in a child, and report its number and its exit code. If the caller is killed, so is the child."""
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
    """Be the process: the program after `-c`, or the module after `-m`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    how, program, *arguments = words
    sys.argv = [how, *arguments]
    if how == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(program, {"__name__": "__main__"})  # noqa: S102 - what a test would give to Python
    sys.exit()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
