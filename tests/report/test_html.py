import base64
import hashlib
import json
import re
import shutil
import subprocess
import zlib
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from funprm.errors import StoreError
from funprm.report.data import ReportData
from funprm.report.html import _index, write_report

VOID = {"meta", "link", "br", "img", "input", "hr"}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Elements, ids, addresses and scripts of a page; fails on unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.scripts: dict[str, str] = {}
        self.policy = ""
        self.text = ""
        self._script = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags[tag] += 1
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [v for k, v in values.items() if k in ("src", "href", "xlink:href")]
        self.handlers += [k for k in values if k.startswith("on")]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        if tag == "script":
            self._script = values.get("id", "code")
            self.scripts[self._script] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[self._script] += data
        elif self.open and self.open[-1] != "style":
            self.text += data


def written(data: ReportData, folder: Path) -> tuple[str, Page]:
    path = folder / "report.html"
    write_report(data, path)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def report(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page, Path]:
    folder = tmp_path_factory.mktemp("report")
    return *written(data, folder), folder


def block(page: Page, i: int) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(page.scripts[f"p{i}"]), wbits=-15))


def test_the_page_is_well_formed_and_needs_nothing_else(
    data: ReportData, report: tuple[str, Page, Path]
) -> None:
    text, page, folder = report
    assert [p.name for p in folder.iterdir()] == ["report.html"]
    assert len(page.ids) == len(set(page.ids))
    assert all(a.startswith(("#", "data:")) for a in page.addresses), page.addresses
    outside = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "default-src 'none'" in page.policy
    assert "@import" not in text


def test_hostile_texts_stay_text(data: ReportData, report: tuple[str, Page, Path]) -> None:
    page = report[1]
    assert set(page.scripts) == {"index", "code", "p0", "p1", "p2"}
    assert page.handlers == []
    assert page.tags["img"] == 0
    assert "{{ 7*7 }}" in page.text
    assert "<script>alert(1)</script>" in page.text
    assert json.loads(page.scripts["index"])["problems"][1][0].startswith("problem 1/</script>")
    assert block(page, 0)["s"] == data.problems[0].statement.replace("\udc80", "?")


def test_the_policy_admits_the_page_s_own_script_alone(
    data: ReportData, report: tuple[str, Page, Path]
) -> None:
    page = report[1]
    digest = base64.b64encode(hashlib.sha256(page.scripts["code"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page.policy
    assert "innerHTML" not in page.scripts["code"]


def test_the_model_under_study_is_told_by_its_whole_name(data: ReportData) -> None:
    focus = replace(data.table[2], selector="public_tests+score:ab:min")
    studied = replace(data, table=(*data.table, focus), highlight=focus.selector)
    assert _index(studied, ["a", "ab", "b"])["model"] == 1


def test_problems_are_packed_without_loss(data: ReportData, report: tuple[str, Page, Path]) -> None:
    page = report[1]
    index = json.loads(page.scripts["index"])
    assert index["selectors"] == ["One sample", "PRM, uncorrected", "FunPRM", "Oracle"]
    assert (index["models"], index["model"]) == (["Outcome model", "FunPRM"], 1)
    assert (index["focus"], index["baseline"]) == (2, 1)
    assert index["problems"][0][1:] == [
        "easy", ["passed", "wrong answer", "not judged"], [-1, 1, 0, 0],
    ]  # fmt: skip
    got = block(page, 0)
    first, _, third = got["c"]
    assert first["f"] == third["f"]
    assert first["f"] == [[0, "solve", [0.25, 0.9], 3, 4, None],
                          [1, "main", [None, 0.333], 0, 0, 0.625]]  # fmt: skip
    assert got["t"][0] == "def solve():\n    return 1\n"


def test_the_table_is_one_that_screen_readers_read(
    data: ReportData, report: tuple[str, Page, Path]
) -> None:
    text, page, _ = report
    assert '<html lang="en">' in text
    assert text.count("<caption") == page.tags["table"]
    assert text.count('<th scope="row">') >= len(data.table)
    assert not re.search(r"<th(?! scope)[ >]", text)
    for words in ("FunPRM", "81.0", "73.0–89.0", "5 / 0", "0.0625", "chose at random on 2"):
        assert words in page.text


def test_equal_data_give_equal_pages(
    data: ReportData, report: tuple[str, Page, Path], tmp_path: Path
) -> None:
    assert written(data, tmp_path)[0] == report[0]


def test_an_empty_report_is_still_a_page(tmp_path: Path) -> None:
    _, page = written(ReportData(title="Nothing", baseline="random", table=()), tmp_path)
    assert page.tags["table"] == 0
    assert "Nothing" in page.text


def test_parts_without_data_are_left_out(data: ReportData, tmp_path: Path) -> None:
    once = tuple(replace(curve, points=curve.points[:1]) for curve in data.curves)
    bare = replace(data, curves=once, rewards=(), training=(), costs=(), problems=())
    _, page = written(bare, tmp_path)
    for words in ("Best of N", "Corrected rewards", "Training", "Cost"):
        assert words not in page.text


def test_six_hundred_problems_fit(data: ReportData, tmp_path: Path) -> None:
    filler = base64.b64encode(hashlib.shake_128(b"code").digest(1500)).decode()
    problem = data.problems[0]
    candidates = tuple(
        replace(c, index=i, functions=(replace(c.functions[0], text=f"{i} {filler}"),))
        for i, c in enumerate(problem.candidates[:1] * 8)
    )
    many = tuple(
        replace(
            problem, problem_id=str(i), statement=filler[i:] + filler[:i], candidates=candidates
        )
        for i in range(600)
    )
    text, _ = written(
        ReportData(title="Large", baseline="", table=data.table, problems=many), tmp_path
    )
    assert len(text) < 15_000_000


def test_a_page_that_cannot_be_written_is_one_clear_line(data: ReportData, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write the report .*No such file"):
        write_report(data, tmp_path / "absent" / "report.html")


@pytest.mark.slow
def test_a_browser_shows_problems_and_runs_no_foreign_script(
    data: ReportData, tmp_path: Path
) -> None:
    if BROWSER is None:
        pytest.skip("needs chromium or google-chrome on the PATH")
    written(data, tmp_path)

    def shown(route: str) -> str:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update",
                 f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000",
                 "--dump-dom"]  # fmt: skip
        address = (tmp_path / "report.html").as_uri() + route
        run = subprocess.run(
            [BROWSER or "", *flags, address], capture_output=True, timeout=60, check=True
        )
        return run.stdout.decode(errors="replace")

    assert "3 of 3 problems" in shown("#/problems")
    page = shown("#/problem/problem%200%2F")
    assert "3 of 4 completions pass" in page
    assert "1 of 3 programs pass" in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    assert "<img" not in page
