"""Servers that the cookbook's recipes talk to."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import time

from tests.notebooks.parts import missing, need

__all__ = ["free_port", "lines_over_http", "need", "redis"]


def free_port():
    """A port of the loopback on which nothing listens just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def lines_over_http(*lines):
    """An HTTP server that answers with some lines; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            for line in lines:
                self.wfile.write(line)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def redis(folder):
    """A Redis that keeps nothing; gives its port."""
    if shutil.which("redis-server") is None:
        missing("no redis-server on this machine: apt-get install redis-server")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(
        ["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 20
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"redis-server doesn't start: {process.poll()}")
            time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
