"""The page: what a browser makes of it, and that it needs nothing from elsewhere."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from funprm.serve import page
from funprm.testing.server import Server
from tests.serve.world import ADD, GOOD, TESTS, Served, adding

FOLDER = Path(page.__file__).parent / "page"
HOSTILE = "<img src=x onerror=alert(1)>"


def test_the_page_is_whole(server: Served) -> None:
    for path, kind in (("/", "text/html"), ("/page.js", "javascript"), ("/page.css", "text/css")):
        answer = server.get(path)
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"https?://|//\w+\.", answer.text)


def test_news_of_every_candidate(server: Served, upstream: Server) -> None:
    numbers = iter(range(100))
    upstream.script.answer = lambda body, index: adding({"seed": next(numbers)}, index)
    body = {"statement": ADD, "model": "tiny", "budget": 4, "tests": TESTS, "entry_point": "add"}
    lines = server.post("/solve", body).text.split("\n\n")
    kinds = [re.findall(r'"type": "(\w+)"', line)[0] for line in lines if line.startswith("data")]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "sample": 4, "judged": 4, "scored": 4, "chosen": 1,
    }  # fmt: skip
    assert kinds[-1] == "chosen"
    assert "Chain" not in upstream.bodies[0]["messages"][0]["content"]
    assert "# Form of the program" in upstream.bodies[0]["messages"][0]["content"]
    assert server.post("/solve", {**body, "budget": 1000}).status_code == 400


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    place = shutil.which("chromium")
    if place is None:
        pytest.skip("needs the program chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_solves_a_problem(
    server: Served, upstream: Server, browser: Any, scheme: str, width: int
) -> None:
    numbers = iter(range(100))

    def answer(body: object, index: int) -> str:
        number = next(numbers)
        return adding({"seed": number}, index) if number else HOSTILE

    upstream.script.answer = answer
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: faults.append("a script of a program ran"))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(server.url)
    opened.locator("#model option").first.wait_for(state="attached")
    opened.fill("#statement", ADD)
    opened.fill("#entry", "add")
    opened.fill("#tests .input", "[1, 2]")
    opened.fill("#tests .output", "3")
    opened.keyboard.press("Control+Enter")
    opened.locator("#state", has_text="chosen by").wait_for()
    assert opened.locator("#candidates li").count() == 8
    assert opened.locator("#candidates li.best .ticks").text_content() == "✓"
    assert opened.locator("#code").text_content() == GOOD
    opened.locator("#candidates").focus()
    opened.keyboard.press("ArrowRight")
    assert opened.locator("#candidates li[aria-selected=true]").count() == 1
    assert opened.locator("body").bounding_box()["width"] == width  # nothing sticks out
    assert not faults
    assert all(url.startswith((server.url, "data:")) for url in asked)
    opened.close()


def test_no_program_becomes_markup() -> None:
    script = (FOLDER / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
