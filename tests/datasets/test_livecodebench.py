import base64
import json
import pickle
import random
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funprm.datasets import _files
from funprm.datasets._split import Fractions
from funprm.datasets.livecodebench.dataset import PRELUDE, LiveCodeBenchDataset
from funprm.datasets.livecodebench.packed import unpack_text
from funprm.datasets.single import problem_of
from funprm.errors import ConfigError, DataError, InputError, RecordError
from funprm.records import Problem
from tests.datasets.official_files import livecodebench, livecodebench_function, packed, write
from tests.shared_data import shared


def load(path: Path, *rows: dict[str, Any], **options: Any) -> list[Problem]:
    return list(LiveCodeBenchDataset(path=write(path / "rows.jsonl", rows), **options).load())


def ids(problems: list[Problem]) -> list[str]:
    return [problem.problem_id for problem in problems]


def test_a_program_that_reads_standard_input(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, livecodebench())
    assert problem.problem_id == "abc1"
    assert problem.statement == "Print the next number."
    assert (problem.date, problem.platform, problem.difficulty) == ("2025-01-01", "atcoder", "easy")
    assert problem.hidden.kind == "stdin"
    assert problem.hidden.seconds == 6.0
    assert [(c.input, c.output) for c in problem.hidden.cases] == [("1\n", "2\n"), ("5\n", "6\n")]
    assert problem.public is not None
    assert [c.input for c in problem.public.cases] == ["1\n"]
    assert problem.probe is not None
    assert [(c.input, c.output) for c in problem.probe.cases] == [("1\n", None)]


def test_a_method_of_class_solution(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, livecodebench_function())
    assert problem.hidden.kind == "functional"
    assert problem.hidden.entry_point == "total"
    assert problem.starter_code.startswith("class Solution:")
    assert [(c.input, c.output) for c in problem.hidden.cases] == [
        ("[1, 2]\n3", "6"),
        ("[]\n1", "1"),
    ]
    assert problem.probe is not None
    assert len(problem.probe.cases) == 16
    assert all(len(case.input.split("\n")) == 2 for case in problem.probe.cases)


@pytest.mark.parametrize("mark", ["\u0085", "\u2028", "\u2029", "\f", "\v", "\x1c"])
def test_only_a_line_feed_ends_an_argument(tmp_path: Path, mark: str) -> None:
    """JSON allows some of these within a string, and `\r` before the end of a line."""
    text = json.dumps(f"a{mark}b", ensure_ascii=mark < " ")
    public = {"input": f"{text}\r\n3\n", "output": "6", "testtype": "functional"}
    row = livecodebench_function()
    (problem,) = load(tmp_path, {**row, "public_test_cases": json.dumps([public])})
    assert problem.probe is not None
    assert json.loads(problem.probe.cases[0].input.split("\n")[0]) == f"a{mark}b"
    tests = {"tests": [{"input": [f"a{mark}b", 3], "output": 6}], "entry_point": "f"}
    solved = problem_of("Do.", tests, "tests.json")
    assert solved.probe is not None
    assert solved.probe.cases[0].input == f"{json.dumps(f'a{mark}b', ensure_ascii=False)}\n3"


def test_a_public_input_that_is_no_json_is_named(tmp_path: Path) -> None:
    public = [{"input": "[1", "output": "6", "testtype": "functional"}]
    with pytest.raises(DataError, match=r"'\[1' of a test is not one JSON value per line.*exclude"):
        load(tmp_path, {**livecodebench_function(), "public_test_cases": json.dumps(public)})


def test_tests_with_their_own_public_flag(tmp_path: Path) -> None:
    row = livecodebench(
        tests=[
            {"input": "1", "output": "2", "public": True, "confirmed": True},
            {"input": "3", "output": "4", "public": False, "confirmed": True},
        ],
        fn_name=None,
        candidates=[{"code": "", "passed": True}],
    )
    del row["public_test_cases"], row["private_test_cases"], row["metadata"]
    (problem,) = load(tmp_path, row)
    assert [c.input for c in problem.hidden.cases] == ["1", "3"]
    assert problem.public is not None
    assert [c.input for c in problem.public.cases] == ["1"]


def test_the_prelude_is_in_scope_and_shadows_no_builtin() -> None:
    scope: dict[str, Any] = {}
    limit = sys.getrecursionlimit()
    try:
        exec(PRELUDE, scope)
    finally:
        sys.setrecursionlimit(limit)
    for name in (
        "List",
        "defaultdict",
        "heappush",
        "inf",
        "lru_cache",
        "accumulate",
        "bisect_left",
    ):
        assert name in scope
    assert all(scope[name] is vars(__import__("builtins"))[name] for name in ("open", "pow", "abs"))
    assert scope["datetime"] is __import__("datetime")


def test_windows_are_by_day_both_included(tmp_path: Path) -> None:
    rows = [livecodebench(month) for month in (1, 2, 3, 4)]
    window = load(tmp_path, *rows, start_date="2025-02-01", end_date="2025-03-01")
    assert ids(window) == ["abc2", "abc3"]
    assert ids(load(tmp_path, *rows, exclude=("abc1", "abc4"))) == ["abc2", "abc3"]
    rows[0]["difficulty"], rows[1]["platform"] = "hard", "codeforces"
    assert ids(load(tmp_path, *rows, difficulties=("hard",))) == ["abc1"]
    assert ids(load(tmp_path, *rows, platforms=("codeforces",))) == ["abc2"]
    with pytest.raises(
        DataError, match=r"no problems of LiveCodeBench in '.*' in the window 2026-01-01 to"
    ):
        load(tmp_path, *rows, start_date="2026-01-01")


def test_training_and_test_windows(tmp_path: Path) -> None:
    rows = [livecodebench(month) for month in (1, 2, 3, 4)]
    split = Fractions(rest="train")
    problems = load(tmp_path, *rows, split=split, train_before="2025-02-01", test_from="2025-03-01")
    assert [(p.problem_id, p.split) for p in problems] == [
        ("abc1", "train"),
        ("abc3", "test"),
        ("abc4", "test"),
    ]
    problems = load(tmp_path, *rows, split="train", test_from="2025-04-01")
    assert [p.split for p in problems] == ["train", "train", "train", "test"]
    problems = load(tmp_path, *rows, split="train", train_before="2025-03-01")
    assert [p.split for p in problems] == ["train", "train", "test", "test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_date": "2025-2-1"}, "start_date = '2025-2-1' is no day"),
        ({"end_date": "20250201"}, "end_date = '20250201' is no day"),
        ({"test_from": "soon"}, "test_from = 'soon' is no day"),
        ({"difficulties": ("hrad",)}, "difficulties: unknown value 'hrad': did you mean 'hard'"),
        ({"platforms": ("atcode",)}, "platforms: unknown value 'atcode': did you mean 'atcoder'"),
        ({"split": "tests"}, "unknown split 'tests'"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LiveCodeBenchDataset(**options)


def test_releases_are_named_as_by_the_official_loader(tmp_path: Path) -> None:
    for number in range(1, 7):
        name = f"test{'' if number == 1 else number}.jsonl"
        write(tmp_path / (f"{name}.gz" if number == 2 else name), [livecodebench(number)])
    found = {
        release: "".join(i[-1] for i in ids(load_folder(tmp_path, release)))
        for release in ("release_v1", "release_v3", "release_latest", "v2", "v1_v3", "v4_v6", "v6")
    }
    assert found == {
        "release_v1": "1",
        "release_v3": "123",
        "release_latest": "123456",
        "v2": "2",
        "v1_v3": "123",
        "v4_v6": "456",
        "v6": "6",
    }
    assert ids(load_folder(tmp_path, "release_v6")) == ids(list(folder(tmp_path).load()))


@pytest.mark.parametrize("release", ["v7", "v0", "v3_v2", "release_v1_v2", "6", "latest_v1", ""])
def test_other_releases_are_refused(release: str) -> None:
    with pytest.raises(ConfigError, match="expected release_v1 to release_v6, release_latest"):
        LiveCodeBenchDataset(release=release)


def folder(path: Path, **options: Any) -> LiveCodeBenchDataset:
    return LiveCodeBenchDataset(path=str(path), **options)


def load_folder(path: Path, release: str) -> list[Problem]:
    return list(folder(path, release=release).load())


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [livecodebench(1)])
    with pytest.raises(InputError, match=r"no test2.jsonl or test2.jsonl.gz in the folder") as told:
        load_folder(tmp_path, "release_v2")
    assert "download test.jsonl, test2.jsonl from huggingface.co/datasets/live" in str(told.value)
    with pytest.raises(InputError, match=r"no file or folder .*: download test.jsonl, test2.jsonl"):
        load_folder(tmp_path / "x", "v1_v2")


def test_without_a_path_the_hub_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "test.jsonl", [livecodebench(1)])
    asked: list[Any] = []

    def download(repository: str, patterns: Any, remedy: str) -> Path:
        asked.append((repository, patterns))
        return tmp_path

    monkeypatch.setattr(_files, "download", download)
    assert ids(list(LiveCodeBenchDataset(release="v1").load())) == ["abc1"]
    assert asked == [("livecodebench/code_generation_lite", ("test.jsonl",))]
    with pytest.raises(InputError, match="the hub has no test2.jsonl in livecodebench"):
        list(LiveCodeBenchDataset(release="v2").load())


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Hostile(), "a pickle with the instruction SHORT_BINUNICODE: .*do not trust this file"),
        (["a"], "a pickle with the instruction EMPTY_LIST"),
        (b"a", "a pickle with the instruction SHORT_BINBYTES"),
        (5, "a pickle with the instruction BININT1"),
        (None, "a pickle with the instruction NONE"),
        (("a", "b"), "a pickle with the instruction"),
        ("[1]", "tests that are no list of inputs and outputs"),
        ("{", "tests that are no list of inputs and outputs"),
    ],
)
def test_packed_tests_may_hold_one_text_only(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(DataError, match=rf"rows.jsonl:1: problem 'abc1': {message}"):
        load(tmp_path, livecodebench(private=packed(value)))


def test_damaged_packed_tests_are_refused(tmp_path: Path) -> None:
    whole = packed("[]" * 5_000)
    for private, message in (
        ("?", "neither JSON nor base64"),
        ("AAAA", "neither JSON nor base64 of zlib data"),
        (whole[: len(whole) // 8 * 4], "cut off, or larger than"),
    ):
        with pytest.raises(DataError, match=message):
            load(tmp_path, livecodebench(private=private))
    with pytest.raises(DataError, match="larger than 1000 bytes unpacked"):
        unpack_text(packed("a" * 1_000), "here", max_bytes=1_000)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("text", ["", "[]", "é😀", "a" * 70_000])
def test_texts_of_every_pickle_protocol_are_read(protocol: int, text: str) -> None:
    value = base64.b64encode(zlib.compress(pickle.dumps(text, protocol))).decode()
    assert unpack_text(value, "here") == text


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5), st.booleans())
def test_records_in_the_official_encoding_come_back(
    tmp_path_factory: pytest.TempPathFactory, tests: list[tuple[str, str]], functional: bool
) -> None:
    """Tests, packed as the benchmark packs them, are the problem's cases; and packed again."""

    def encoded(cases: list[tuple[str, str]]) -> str:
        kind = "functional" if functional else "stdin"
        return packed(json.dumps([dict(input=i, output=o, testtype=kind) for i, o in cases]))

    row = livecodebench(private=encoded(tests), public_test_cases="[]")
    if functional:
        row["metadata"] = json.dumps({"func_name": "total"})
    folder = tmp_path_factory.mktemp("rows")
    (problem,) = load(folder, row)
    assert problem.hidden.kind == ("functional" if functional else "stdin")
    cases = [(case.input, str(case.output)) for case in problem.hidden.unpacked().cases]
    assert cases == tests
    assert load(folder, {**row, "private_test_cases": encoded(cases)}) == [problem]


def test_random_bytes_are_refused_in_one_line() -> None:
    generator = random.Random(0)
    for _ in range(300):
        data = generator.randbytes(generator.randrange(1, 40))
        with pytest.raises(DataError, match="^here: [^\n]*$"):
            unpack_text(base64.b64encode(zlib.compress(data)).decode(), "here")


def test_problems_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    empty = livecodebench(public_test_cases="[]", private=packed("[]"))
    with pytest.raises(DataError, match="rows.jsonl:1: problem 'abc1' has no tests; exclude it"):
        load(tmp_path, empty)
    assert ids(load(tmp_path, empty, livecodebench(2), exclude=("abc1",))) == ["abc2"]
    with pytest.raises(RecordError, match=r"rows.jsonl:2: .*contest_date"):
        load(tmp_path, livecodebench(), livecodebench(contest_date=None))
    with pytest.raises(DataError, match="problem 'abc1': metadata"):
        load(tmp_path, livecodebench(metadata="{"))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = json.dumps(livecodebench(public_test_cases="[?]", private="[]")).encode()
    path.write_bytes(line.replace(b"?", b"\xff"))
    with pytest.raises(DataError, match="rows.jsonl:1: problem 'abc1': tests that are not UTF-8"):
        list(LiveCodeBenchDataset(path=str(path)).load())
    path.write_bytes(line.replace(b"atcoder", b"\xff"))
    with pytest.raises(RecordError, match=r"rows.jsonl:1: expected one JSON object"):
        list(LiveCodeBenchDataset(path=str(path)).load())


def test_problems_that_are_not_wanted_are_not_unpacked(tmp_path: Path) -> None:
    rows = [livecodebench(1, private="damaged"), livecodebench(2)]
    assert ids(load(tmp_path, *rows, start_date="2025-02-01")) == ["abc2"]


def test_real_windows() -> None:
    path = str(shared("lcb_test.jsonl.gz"))
    problems = list(LiveCodeBenchDataset(path=path, start_date="2025-02-01").load())
    assert len(problems) == 62
    assert all(problem.hidden.cases for problem in problems)
    train = LiveCodeBenchDataset(path=str(shared("lcb_train.jsonl.gz")), end_date="2024-07-31")
    assert sum(1 for _ in train.load()) == 601


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of 200 MB whose problems unpack to 4 MB each is read in less than 160 MB."""
    text = random.Random(0).randbytes(1_000_000).hex()
    private = packed(json.dumps([{"input": text, "output": text, "testtype": "stdin"}]))
    path = tmp_path / "rows.jsonl"
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while file.tell() < 200_000_000:
            row = livecodebench(1, question_id=f"q{number}", private=private)
            file.write(f"{json.dumps(row)}\n")
            number += 1
    script = f"""
        from pathlib import Path
        from funprm.datasets.livecodebench.dataset import LiveCodeBenchDataset

        def peak():  # in KiB; unlike ru_maxrss it does not count the process before exec
            return Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]

        rows = LiveCodeBenchDataset(path={str(path)!r}).load()
        next(rows)
        first = peak()
        assert sum(1 for _ in rows) == {number - 1}
        print(first, peak())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    first, peak = map(int, done.stdout.split())
    print(f"peak {peak // 1024} MiB, after one problem {first // 1024} MiB")  # noqa: T201
    assert peak < first + 40_000
    assert peak < 160_000
