"""A Jupyter kernel as a front end sees it."""

from __future__ import annotations

import queue
import time
from contextlib import contextmanager

import pytest

PATIENCE = 20.0
"""Seconds after which nothing more is expected of a kernel."""


@contextmanager
def started():
    """A kernel that is shut down at the end of the block, whatever it does then."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


class Kernel:
    """Runs cells and gives the text that is shown below them."""

    def __init__(self, manager, client):
        self._client = client
        self.interrupt = manager.interrupt_kernel

    def run(self, code):
        """Run a cell to its end; give what it shows."""
        return self.rest(self.begin(code))

    def begin(self, code):
        """Set a cell going."""
        return self._client.execute(code)

    def rest(self, cell, within=PATIENCE):
        """Wait for the end of a cell; give what it shows from now on."""
        return self._read(cell, within, lambda message, _: _state(message) == "idle")

    def wait_for(self, cell, text, within=PATIENCE):
        """Wait until a cell shows a text, also after its end; give what it shows from now on."""
        return self._read(cell, within, lambda _, shown: text in shown)

    def _read(self, cell, within, ends):
        shown = ""
        limit = time.monotonic() + within
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(limit - time.monotonic(), 0))
            except queue.Empty:
                pytest.fail(f"the kernel has shown no more than this in {within} s: {shown!r}")
            if message["parent_header"].get("msg_id") == cell:
                shown += _text(message)
                if ends(message, shown):
                    return shown


def _state(message):
    return message["content"].get("execution_state")


def _text(message):
    content = message["content"]
    match message["msg_type"]:
        case "stream":
            return content["text"]
        case "execute_result" | "display_data":
            return content["data"]["text/plain"]
        case "error":
            return f"{content['ename']}: {content['evalue']}"
        case _:
            return ""
