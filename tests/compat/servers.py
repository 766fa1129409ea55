"""Servers that the cookbook's recipes talk to."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import threading


@contextlib.contextmanager
def serving(server):
    """A server in a thread, until the end of the block; gives its port."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def lines_over_http(*lines):
    """An HTTP server that answers with some lines."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            for line in lines:
                self.wfile.write(line)

        def log_message(self, *_):
            pass

    return serving(http.server.HTTPServer(("127.0.0.1", 0), Handler))


def redis():
    """What the recipe needs of Redis: SET, GET, EXISTS and KEYS *, in memory."""
    rows = {}

    def answer(command, *arguments):
        match command.upper(), arguments:
            case b"SET", (key, value):
                rows[key] = value
                return b"+OK\r\n"
            case b"GET", (key,):
                return bulk(rows.get(key))
            case b"EXISTS", (key,):
                return b":%d\r\n" % (key in rows)
            case b"KEYS", (b"*",):
                return b"*%d\r\n" % len(rows) + b"".join(map(bulk, rows))
            case b"HELLO", _:
                return b"%1\r\n$5\r\nproto\r\n:3\r\n"
            case b"CLIENT", _:
                return b"+OK\r\n"
            case _:
                return b"-ERR unknown command\r\n"

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while head := self.rfile.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int(self.rfile.readline()[1:])
                    words.append(self.rfile.read(size + 2)[:size])
                self.wfile.write(answer(*words))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    return serving(Server(("127.0.0.1", 0), Handler))


def bulk(value):
    return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
