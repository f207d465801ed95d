"""What tests in a real browser share: a page that is watched, patience, and what visitors do everywhere."""

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
        assert self.errors == []


def text_of(page, selector: str):
    from playwright import sync_api

    return sync_api.expect(page.locator(selector))


def choose_model(page, name: str, where: str = "#model") -> None:
    page.locator(f"{where} input").click()
    page.get_by_role("option", name=name, exact=True).click()
