"""Another machine, played on this one: `node.py serve SOCKET` is its daemon, `node.py launch SOCKET ARGV...`
the launcher that has it run a command there; standard library only.

What runs there is no descendant of the launcher. Its stdin ends with the launcher's, as podman does it; with
`serve SOCKET --deaf` it stays open, as Slurm does it when `srun` and its helper are killed. The launcher
exits with 0, whatever came of the command, as `srun` does after a node's failure.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress

FRAME = 5
STDIN_ENDED = b""


def exactly(connection: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        chunk = connection.recv(size - len(taken))
        if not chunk:
            return b""
        taken += chunk
    return taken


def serve(path: str, deaf: bool) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(64)
    print("listening", flush=True)
    while True:
        threading.Thread(target=run, args=(server.accept()[0], deaf), daemon=True).start()


def run(connection: socket.socket, deaf: bool) -> None:
    order = json.loads(exactly(connection, int(exactly(connection, 10))))
    pipe = subprocess.PIPE
    process = subprocess.Popen(order["argv"], env=order["env"], cwd="/", stdin=pipe, stdout=pipe, stderr=pipe)
    sending = threading.Lock()

    def out(number: int, stream: object) -> None:
        while chunk := os.read(stream.fileno(), 65536):  # type: ignore[attr-defined]
            try:
                with sending:
                    connection.sendall(bytes([number]) + len(chunk).to_bytes(4, "big") + chunk)
            except OSError:
                return

    outs = [threading.Thread(target=out, args=each) for each in ((1, process.stdout), (2, process.stderr))]
    for each in outs:
        each.start()
    threading.Thread(target=feed, args=(connection, process, deaf), daemon=True).start()
    process.wait()
    for each in outs:
        each.join()
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # closing it would wait for who reads it
    connection.close()


def feed(connection: socket.socket, process: subprocess.Popen[bytes], deaf: bool) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        while chunk := connection.recv(65536):
            process.stdin.write(chunk)
            process.stdin.flush()
    if not deaf:
        with suppress(OSError):
            process.stdin.close()


def launch(path: str, argv: list[str]) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    carried = {name: value for name, value in os.environ.items() if name != "ODD"}  # the tests' own is not
    order = json.dumps({"argv": argv, "env": carried}).encode()
    connection.sendall(f"{len(order):010}".encode() + order)
    threading.Thread(target=pass_input_on, args=(connection,), daemon=True).start()
    while head := exactly(connection, FRAME):
        data = exactly(connection, int.from_bytes(head[1:], "big"))
        while data:
            data = data[os.write(head[0], data) :]
    os._exit(0)


def pass_input_on(connection: socket.socket) -> None:
    while True:
        select.select([0], [], [])
        chunk = os.read(0, 65536)
        if chunk == STDIN_ENDED:
            connection.shutdown(socket.SHUT_WR)
            return
        connection.sendall(chunk)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], "--deaf" in sys.argv)
    else:
        launch(sys.argv[2], sys.argv[3:])
