"""A headless Chromium, driven over a pipe by its DevTools protocol; it tells all that a page says or wants.

Chromium 156 reads commands from file descriptor 3 and answers on 4, each message with a NUL after it.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define, field

PATIENCE = 300.0
"""Seconds for one answer on a slow machine; reached only when it hangs."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # a container has no user namespaces, and the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--force-color-profile=srgb",
)
HIGH = 20  # file descriptors above those that the pipe must have


def find_chromium() -> str | None:
    """The program, if one is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@define
class Page:
    """One tab.

    Attributes:
        said: every console message, log entry, exception and dialog.
        asked_for: every address that was asked for.
    """

    session: str
    _send: Any
    said: list[str] = field(factory=list)
    asked_for: list[str] = field(factory=list)

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command to the tab, and returns its result."""
        return self._send(method, params, self.session)

    def show(self, path: Path, *, width: int = 1100, height: int = 900, scheme: str = "light") -> None:
        """Opens a file in a window of that size, for one who wants it light or dark, and waits for it."""
        phone = width < 600
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.do("Emulation.setEmulatedMedia", features=media)
        self.do("Page.navigate", url=path.as_uri())
        while self.value("document.readyState") != "complete" or self.value("location.href") != path.as_uri():
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What an expression is in the page; the page's own policy does not apply to it."""
        said = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def take_picture(self, path: Path, *, whole: bool = True) -> None:
        """The page as a PNG: all of it, or what is seen without scrolling."""
        said = self.do("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(said["data"]))

    def hear(self, message: dict[str, Any]) -> None:
        """Takes in what the browser tells by itself."""
        method, params = message["method"], message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.asked_for.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.said.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.said.append(json.dumps(params["args"]))
        elif method in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
            self.said.append(json.dumps(params))


@define
class Chromium:
    """The browser."""

    _process: subprocess.Popen[bytes]
    _commands: int
    _answers: int
    _pages: dict[str, Page] = field(factory=dict)
    _number: int = 0
    _rest: bytes = b""

    def open_page(self) -> Page:
        """A new tab, which is listened to before it shows anything."""
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = self._pages[attached["sessionId"]] = Page(attached["sessionId"], self._send)
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.do(f"{domain}.enable")
        return page

    def _send(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, (method, said["error"])
                return said["result"]
            if "method" in said and said.get("sessionId") in self._pages:
                self._pages[said["sessionId"]].hear(said)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            chunk = os.read(self._answers, 1 << 20) if ready else b""
            assert chunk, f"the browser says nothing, or has ended ({self._process.poll()})"
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A browser with a profile of its own in a folder; it is gone afterwards."""
    program = find_chromium()
    assert program is not None
    ends = [os.pipe(), os.pipe()]  # to the browser, and from it
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGH) for end in (ends[0][0], ends[1][1])]
    os.close(ends[0][0])
    os.close(ends[1][1])

    def hand_over() -> None:
        for place, end in enumerate(high, start=3):
            os.dup2(end, place)

    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SK_CI_MARK")}
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={folder / 'profile'}"],
        env={**environ, "HOME": str(folder), "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(3, 4),
        preexec_fn=hand_over,
        start_new_session=True,
    )
    for end in high:
        os.close(end)
    try:
        yield Chromium(process, ends[0][1], ends[1][0])
    finally:
        os.close(ends[0][1])  # which ends it
        try:
            process.wait(PATIENCE)
        finally:
            with suppress(ProcessLookupError):  # its helpers may take a moment longer
                os.killpg(process.pid, signal.SIGKILL)
            os.close(ends[1][0])
