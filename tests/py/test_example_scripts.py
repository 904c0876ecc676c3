"""The scripts in examples/ do what their first lines say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, *words: str, given: bytes = b"") -> tuple[int, str]:
    command = [sys.executable, ROOT / "examples" / script, *words]
    done = subprocess.run(command, input=given, capture_output=True, check=False, cwd=ROOT)
    assert not done.stderr, done.stderr.decode()
    return done.returncode, done.stdout.decode()


def test_lint_http_takes_good_requests() -> None:
    two = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    code, said = run("lint_http.py", given=two)
    assert (code, said) == (0, "POST /a  2 fields  3 bytes of body\nGET /b  1 fields  0 bytes of body\n")


def test_lint_http_shows_where_a_request_goes_wrong() -> None:
    code, said = run("lint_http.py", given=b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
    assert code == 1
    what, line, mark = said.splitlines()[1:]
    assert what == "bad_field at byte 20: a header field is malformed"
    assert line[len(mark) - 1 :].startswith(" : x")


def test_the_tests_of_a_configuration_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--noconftest", "examples/testing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_lint_http_reads_a_file_of_responses(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.write_bytes(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    code, said = run("lint_http.py", "--responses", str(capture))
    assert (code, said) == (0, "103 Early Hints  1 fields\n200 OK  1 fields  2 bytes of body\n")
