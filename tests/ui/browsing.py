"""What tests in a real browser share: a page that is watched, patience, and what visitors do everywhere."""

import re
from urllib.parse import urlsplit

import pytest

from tests import processes
from tests.ui.conftest import CHROMIUM

BROWSED = [
    pytest.mark.browser,
    # One visit: what a test leaves on the page, the next one finds.
    pytest.mark.random_order(disabled=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is found; install it, or name it in CHROMIUM"),
]

# In milliseconds, as the browser counts.
PATIENCE = 1000 * processes.PATIENCE


class Watched:
    """A page that notes what it asks for and what goes wrong."""

    def __init__(self, page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        # The answer to a field that does not take its value is no mistake, though the browser logs it.
        page.on(
            "console",
            lambda said: self.errors.append(said.text) if said.type == "error" and " 422 " not in said.text else None,
        )

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).first.click()

    def check(self) -> None:
        hosts = {urlsplit(url).hostname for url in self.requests if url.startswith(("http", "ws"))}
        assert hosts <= {"127.0.0.1", "localhost"}, hosts
        assert self.errors == [], self.errors


def text_of(page, selector: str):
    from playwright import sync_api

    return sync_api.expect(page.locator(selector))


def choose_model(page, name: str, where: str = "#model") -> None:
    page.locator(f"{where} input").click()
    page.get_by_role("option", name=name, exact=True).click()


def put(page, paths, advice: str) -> None:
    """Choose files in the place of those before, and wait until the page has them."""
    from playwright import sync_api

    files = page.locator("#train-files")
    if files.get_by_label("Clear").count():
        files.get_by_label("Clear").first.click()
        files.locator("input[type=file]").wait_for(state="attached")
    files.locator("input[type=file]").set_input_files([str(path) for path in paths])
    sync_api.expect(files.get_by_text(paths[-1].stem).first).to_be_visible(timeout=PATIENCE)
    text_of(page, "#train-advice").to_contain_text(re.compile(advice), timeout=PATIENCE)
