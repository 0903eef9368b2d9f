"""Programs end quietly where their reader does, and say why where the disk is full."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and signals are POSIX's")

START = """
import sys, os, signal, time
from kerasq.commands.arguments import Command, CommandError
from kerasq.files import temporary_folder

def execute(options, names):
    {body}

sys.argv = ["kerasq-test"]
Command("kerasq-test", "", "", lambda options: None, execute, tensorflow={tensorflow}).run()
"""


def start(body, tensorflow=False, **options):
    command = [sys.executable, "-c", START.format(body=body, tensorflow=tensorflow)]
    return subprocess.Popen(command, text=True, stderr=subprocess.PIPE, **{"stdout": subprocess.PIPE, **options})


@pytest.mark.parametrize("tensorflow", [False, True])
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves(tensorflow, lines):
    process = start(f"sys.stdin.read(); [print('line') for _ in range({lines})]", tensorflow, stdin=subprocess.PIPE)
    process.stdout.close()
    process.stdin.close()
    assert (process.wait(), process.stderr.read()) == (141, "")
    process.stderr.close()


def test_a_reader_of_errors_that_leaves():
    process = start("sys.stdin.read(); raise CommandError('wrong')", stdin=subprocess.PIPE)
    process.stderr.close()
    process.stdin.close()
    assert (process.wait(), process.stdout.read()) == (141, "")
    process.stdout.close()


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="there is no full device")
def test_output_that_does_not_arrive_is_a_failure():
    with open("/dev/full", "w") as full:
        process = start("print('line')", stdout=full)
        assert process.communicate()[1] == "kerasq-test: standard output: No space left on device\n"
        assert process.returncode == 1


@pytest.mark.parametrize(
    ("name", "status", "words"), [("INT", 130, "kerasq-test: interrupted\n"), ("TERM", 143, ""), ("HUP", 129, "")]
)
def test_signals_remove_what_is_temporary(tmp_path, name, status, words):
    body = f"with temporary_folder(): os.kill(os.getpid(), signal.SIG{name}); time.sleep(60)"

    def heed():  # who runs the tests in the background of a script ignores SIGINT, and what it starts would too
        signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)

    process = start(body, env={**os.environ, "TMPDIR": str(tmp_path)}, preexec_fn=heed)
    assert process.communicate() == ("", words)
    assert (process.returncode, list(tmp_path.iterdir())) == (status, [])


def test_a_signal_that_is_ignored_stays_so():
    body = "os.kill(os.getpid(), signal.SIGHUP); print('done')"
    process = start(body, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert (process.communicate(), process.returncode) == (("done\n", ""), 0)


def test_names_that_the_encoding_has_not():
    process = start("print('gr\\u00f6\\u00dfe')", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert process.communicate() == ("gr\\xf6\\xdfe\n", "")
