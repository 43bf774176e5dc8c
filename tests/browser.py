"""A real browser for tests, and what it complained of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path(os.environ.get("FOREBAY_CHROMIUM", "/usr/bin/chromium"))
REQUIRED = os.environ.get("FOREBAY_BROWSER") == "required"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
PATIENCE = 60_000
"""Milliseconds that anything may take: a machine may have a lot else to do."""


def missing() -> str:
    """Why there is no browser; empty if there is one."""
    if not CHROMIUM.exists():
        return f"no Chromium at {CHROMIUM}; FOREBAY_CHROMIUM names another"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return ""


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser. Without one the test is skipped, and fails if FOREBAY_BROWSER=required."""
    why = missing()
    if why:
        pytest.fail(why) if REQUIRED else pytest.skip(f"THE CONSOLE IS NOT TESTED: {why}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """Somebody's browser: one page, and all that it complained of."""

    def __init__(self, browser: Browser, url: str, width: int = 1280, scheme: str = "light") -> None:
        self.url = url
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, accept_downloads=True)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(f"{said.text} {said.location}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path, wait_until="domcontentloaded")
        return self.page

    def sign_in(self, key: str) -> Page:
        """With a key, in the form that asks for it."""
        self.go("/sign-in")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Overview").wait_for()
        return self.page

    def quiet(self, *but: str) -> None:
        """The browser had nothing to complain of, except for answers of these kinds that are meant."""
        rest = [one for one in self.complaints if not any(text in one for text in but)]
        assert not rest, rest
        self.complaints.clear()
