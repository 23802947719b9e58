"""Programs that try to pass without solving, to look around, to stay, or to hang."""

import socket
import time
from pathlib import Path

import pytest

from funprm.records import Status
from tests.executors.conftest import Judge, check, count_processes, functional, stdin, unittests

FAILING = {
    "sys.exit": "import sys\nsys.exit(0)",
    "os._exit": "import os\nos._exit(0)",
    "SystemExit": "raise SystemExit",
    "exit in f": "import os\ndef f(x):\n    os._exit(0)",
    "exit(0) in f": "def f(x):\n    exit(0)",
    "quiet exit": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x):\n    raise SystemExit",
    "always equal": "class E:\n    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n"
    "def f(x):\n    return E()",
    "equal inside": "class E(int):\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\n"
    "def f(x):\n    return [E(3)]",
    "channel": "import os\ndef f(x):\n    for fd in range(3, 300):\n        for t in (b's0:0 0\\n',"
    " b'p0:0 \\n', b'x0:0 \\n', b'o0:0 true\\n'):\n            try: os.write(fd, t)\n"
    "            except OSError: pass\n    os._exit(0)",
    "builtins": "import builtins\nbuiltins.len = builtins.abs = lambda *a: 0\n"
    "builtins.isinstance = lambda *a: True\ndef f(x):\n    return 0",
    "shadowed": "def abs(x): return 0\ndef all(x): return True\ndef f(x):\n    return 0",
    "json": "import json\njson.dumps = lambda *a, **k: '42'\njson.loads = lambda *a: 42\n"
    "json.JSONEncoder.encode = lambda *a: '42'\ndef f(x):\n    return 0",
    "check": "def check(c): pass\nclass TestCases: pass\ndef f(x):\n    return 0",
    "unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
    "unittest.TestCase.run = lambda s, r: r.addSuccess(s)\ndef f(x):\n    return 0",
    "unittest late": "def f(x):\n    import unittest\n"
    "    unittest.TestCase.assertEqual = lambda *a: None\n    return 0",
    "unittest code": "def f(x):\n    import unittest\n    g = lambda *a, **k: None\n"
    "    unittest.TestCase.assertEqual.__code__ = g.__code__\n    return 0",
    "result": "import sys\ndef f(x):\n    r = sys._getframe()\n    while r:\n        for v in"
    " list(r.f_locals.values()):\n            if hasattr(v, 'addSuccess'):\n"
    "                v.addFailure = v.addError = v.addSuccess\n        r = r.f_back\n    return 0",
    "frames": "import sys, os\ndef f(x):\n    r = sys._getframe()\n    while r:\n        for v in"
    " list(r.f_locals.values()):\n            if isinstance(v, bytes):\n                os.write(3, v)\n"
    "        r = r.f_back\n    os._exit(0)",
    "collector": "import gc, os\ndef f(x):\n    for o in gc.get_objects():\n        for v in"
    " gc.get_referents(o):\n            if type(v) is bytes and v.startswith(b'p0:0 '):\n"
    "                os.write(3, v)\n    os._exit(0)",
    "closures": "import gc, os, types\ndef f(x):\n    for o in gc.get_objects():\n"
    "        if isinstance(o, types.FunctionType):\n            for v in o.__defaults__ or ():\n"
    "                if type(v) is bytes and v.startswith(b'p0:0 '): os.write(3, v)\n    os._exit(0)",
    "close all": "import os\nos.closerange(0, 1000)\ndef f(x):\n    return 0",
    "dup": "import os\nfor fd in range(4, 50): os.dup2(3, fd)\ndef f(x):\n    return 0",
    "crash": "import ctypes\ndef f(x):\n    ctypes.string_at(0)",
    "recursion": "def f(x):\n    return f(x + 1)",
    "kill parent": "import os, signal\nassert os.getppid() == 1  # else this would reach the host\n"
    "def f(x):\n    for p in (1, 0, -1):\n"
    "        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):\n            try: os.kill(p, s)\n"
    "            except OSError: pass\n    return 0",
}
SUITES = {
    "functional": functional(("1", "42")),
    "check": check("assert candidate(1) == 42\nassert abs(candidate(1) - 42) < 1"),
    "unittest": unittests("def test_f(self):\n    self.assertEqual(f(1), 42)"),
}


@pytest.mark.parametrize("kind", SUITES)
@pytest.mark.parametrize("name", FAILING)
def test_nothing_passes_without_an_answer(judge: Judge, kind: str, name: str) -> None:
    verdict = judge(FAILING[name], SUITES[kind])
    assert verdict.passed is False, verdict
    good = judge("def f(x):\n    return 42", SUITES[kind])  # the worker is as good as before
    assert good.passed is True, good


HANGING = {
    "loop": ("while True: pass", Status.TIME_LIMIT),
    "stubborn loop": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        Status.TIME_LIMIT,
    ),
    "in C": ("10 ** (10 ** 8) % 7", Status.TIME_LIMIT),
    "sleep": ("import time\ntime.sleep(100)", Status.TIME_LIMIT),
    "allocation": ("x = bytearray(6 << 30)", Status.MEMORY_LIMIT),
    "slow allocation": ("x = []\nwhile True: x.append(bytearray(1 << 20))", Status.MEMORY_LIMIT),
    "flood": ("while True: print('x' * 100000)", Status.OUTPUT_LIMIT),
    "flood of errors": (
        "import sys\nwhile True: print('x' * 100000, file=sys.stderr)",
        Status.TIME_LIMIT,
    ),
    "fork bomb": ("import os\nwhile True: os.fork()", Status.RUNTIME_ERROR),
    "threads": (
        "import threading, time\nfor _ in range(10000):\n"
        "    threading.Thread(target=time.sleep, args=(100,)).start()",
        Status.RUNTIME_ERROR,
    ),
    "recursion": ("def f(): f()\nf()", Status.RUNTIME_ERROR),
    "crash": ("import ctypes\nctypes.string_at(0)", Status.RUNTIME_ERROR),
    "stopped": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", Status.TIME_LIMIT),
    "bad bytes": ("import sys\nsys.stdout.buffer.write(b'\\xff\\xfe\\0')", Status.WRONG_ANSWER),
    "huge integer": ("print(10 ** 100000)", Status.RUNTIME_ERROR),
}


@pytest.mark.parametrize("name", HANGING)
def test_nothing_hangs(judge: Judge, name: str) -> None:
    code, status = HANGING[name]
    start = time.monotonic()
    verdict = judge(code, stdin(("", "1"), seconds=0.5, memory_mb=256))
    assert verdict.status is status, verdict
    assert time.monotonic() - start < 20
    assert judge("print(1)", stdin(("", "1"))).passed is True


def test_processes_of_a_test_suite_are_ended_and_counted(judge: Judge) -> None:
    bombs = (
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        while True: time.sleep(1)\n    os._exit(0)\nos.wait()\nimport signal\n"
        "if os.fork() == 0:\n    os.kill(os.getpid(), signal.SIGSTOP)\n",
        "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytearray(1 << 29)\n"
        "        for i in range(0, 1 << 29, 4096): x[i] = 1\n        while True: pass\nos.wait()",
    )
    before = count_processes()
    for code in bombs:
        judge(code, unittests("def test_f(self): pass", seconds=1.0))
        assert count_processes() == before


LOOKING = {
    "environment": "import os\nassert 'SECRET' not in str(os.environ)\n"
    "for p in os.listdir('/proc'):\n    try: assert b'SECRET' not in"
    " open(f'/proc/{p}/environ', 'rb').read()\n    except OSError: pass",
    "files": "for p in ('HERE', '/etc/shadow', '/root', '/home'):\n"
    "    try: open(p).read()\n    except OSError: continue\n    raise SystemError(p)",
    "writing": "import json, os\nfor p in ('HERE', 'HERE.new', '/usr/funprm-test', '/funprm-test'):\n"
    "    try: open(p, 'a').close()\n    except OSError: continue\n    raise SystemError(p)\n"
    "for p in (json.__file__, os.path.dirname(json.__file__), '/', '/usr', '/etc', '/etc/passwd'):\n"
    "    assert not os.access(p, os.W_OK), p",
    "removing": "import os, shutil\nfor r in (os.unlink, os.rmdir, shutil.rmtree):\n"
    "    try: r('HERE')\n    except OSError: continue\n    raise SystemError",
    "tcp": "import socket\ntry: socket.create_connection(('127.0.0.1', PORT), 1)\n"
    "except OSError: pass\nelse: raise SystemError",
    "udp": "import socket\ntry: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x',"
    " ('127.0.0.1', PORT))\nexcept OSError: pass\nelse: raise SystemError",
    "abstract": "import socket\ntry: socket.socket(socket.AF_UNIX).connect('\\0funprm-PORT')\n"
    "except OSError: pass\nelse: raise SystemError",
    "names": "import socket\ntry: socket.gethostbyname('example.org')\n"
    "except OSError: pass\nelse: raise SystemError",
    "others": "import os\nme = {1, os.getpid()}\n"
    "assert {int(p) for p in os.listdir('/proc') if p.isdecimal()} <= me",
    "parent's memory": "import os\nfor n in ('mem', 'environ', 'maps', 'fd/0'):\n"
    "    try: open(f'/proc/{os.getppid()}/{n}', 'rb').read(1)\n    except OSError: continue\n"
    "    raise SystemError(n)",
    "ptrace": "import ctypes, os\nassert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1",
    "namespaces": "import ctypes\nl = ctypes.CDLL(None)\nassert l.unshare(0x10000000) == -1\n"
    "assert l.mount(b'none', b'/tmp', b'tmpfs', 0, 0) == -1\nassert l.chroot(b'/tmp') == -1",
    "shared memory": "import ctypes\nl = ctypes.CDLL(None)\nassert l.shmget(7, 4096, 0o1666) == -1\n"
    "assert l.msgget(7, 0o1666) == -1\nassert l.semget(7, 1, 0o1666) == -1",
    "no rights": "import os\nassert 'CapEff:\\t0000000000000000' in open('/proc/self/status').read()\n"
    "assert os.getuid() != 0",
    "limits of the parent": "import resource, os\ntry: resource.prlimit(os.getppid(),"
    " resource.RLIMIT_NOFILE, (0, 0))\nexcept OSError: pass\nelse: raise SystemError",
    "sources": "import sys\nfor n in list(sys.modules):\n    assert not n.startswith('funprm')",
}


@pytest.mark.parametrize("name", LOOKING)
def test_nothing_leaks(
    judge: Judge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    # If the judge leaked, these programs would harm nothing but this file.
    target = tmp_path / "target"
    target.write_text("precious")
    monkeypatch.setenv("SECRET", "SECRET")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as local:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        port = tcp.getsockname()[1]
        local.bind(f"\0funprm-{port}")
        local.listen()
        code = LOOKING[name].replace("HERE", str(target)).replace("PORT", str(port))
        verdict = judge(code + "\nprint('fine')", stdin(("", "fine")))
    assert verdict.passed is True, verdict
    assert target.read_text() == "precious"


LEAVING = {
    "files": "import os\nassert not os.listdir('.'), os.listdir('.')\nassert not os.listdir('/dev/shm')\n"
    "open('a', 'w').close()\nos.makedirs('b/c/d')\nos.chmod('b/c', 0)\nos.symlink('/usr', 'l')\n"
    "open('/dev/shm/a', 'w').close()",
    "deep": "import os\nassert not os.listdir('.')\nfor i in range(1500):\n"
    "    os.mkdir('d')\n    os.chdir('d')",
    "many": "import os\nassert not os.listdir('.')\ntry:\n    for i in range(10**6):"
    " open(str(i), 'w').close()\nexcept OSError: pass",
    "large": "import os\nassert not os.listdir('.')\ntry:\n    for i in range(50):\n"
    "        with open(str(i), 'wb') as f: f.write(bytes(10**8))\nexcept OSError: pass",
}


@pytest.mark.parametrize("name", LEAVING)
def test_nothing_stays(judge: Judge, name: str) -> None:
    suite = stdin(*[("", "fine")] * 4, seconds=5.0)
    verdict = judge(LEAVING[name] + "\nprint('fine')", suite)
    assert verdict.passed is True, verdict


def test_a_large_program_is_judged(judge: Judge) -> None:
    code = (
        "x = 1\n" * 20_000
        + "# "
        + "a" * 5_000_000
        + "\ny = '"
        + "a" * 5_000_000
        + "'\nprint('fine')"
    )
    assert judge(code, stdin(("", "fine"), seconds=30.0)).passed is True
