"""JupyterLab and a browser, as a user has them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    # Else cells far below aren't in the page.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


@contextmanager
def served(folder, log):
    """A server of a folder; gives the address of a notebook by its name."""
    settings = Path(os.environ["JUPYTER_CONFIG_DIR"], "labconfig")
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    token = secrets.token_hex()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", "--port=0", f"--IdentityProvider.token={token}"),
        f"--ServerApp.root_dir={folder}",
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with server, log.open("w") as out:
        try:
            base = _address(server.stdout)
            _wait_until_it_listens(base)
            # Read on, or it waits once the pipe is full.
            reader = threading.Thread(target=shutil.copyfileobj, args=(server.stdout, out))
            reader.start()
            yield lambda name: f"{base}doc/tree/{name}?token={token}&reset"
        finally:
            server.terminate()
        reader.join()


def _address(lines):
    """Wait until the server says where it is."""
    said = []
    for line in lines:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
            return found[0]
    raise RuntimeError(f"JupyterLab has ended: {''.join(said)}")


def _wait_until_it_listens(base):
    """Where it says where it is, it may not listen yet."""
    port = int(base.rstrip("/").rpartition(":")[2])
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def browsing(executable):
    """A page of a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic"],
        )
        try:
            yield browser.new_page(viewport={"width": 1200, "height": 900})
        finally:
            browser.close()
