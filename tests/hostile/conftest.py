"""What the tests of whole commands share: inputs, a slow server, and the bytes of uninterrupted runs."""

import threading
import time
from functools import cache
from http.server import ThreadingHTTPServer

import pytest
import survival_cases as cases

from hostile.test_downloads import CONTENT, Handler

PIECES = 32  # in which the server sends a file, with a pause behind each


def in_pieces(handler, begin):
    """A server slow enough to be killed on the way."""
    handler.start(len(CONTENT) - begin, begin)
    step = len(CONTENT) // PIECES
    for i in range(begin, len(CONTENT), step):
        handler.wfile.write(CONTENT[i : i + step])
        handler.wfile.flush()
        time.sleep(0.01)


@pytest.fixture(scope="session")
def address():
    """The address of a server that sends CONTENT."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked, httpd.behave, httpd.daemon_threads = [], in_pieces, True
    httpd.handle_error = lambda *arguments: None
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/w.bin"
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture(scope="session")
def inputs(address, tmp_path_factory):
    """By name of a case: the folder of its inputs."""

    @cache
    def prepare(name):
        inputs = tmp_path_factory.mktemp("inputs")
        cases.CASES[name].prepare(inputs)
        if name == "download":
            (inputs / "sent").mkdir()
            for each in "ab":
                (inputs / "sent" / each).write_bytes(CONTENT)
            cases.write_manifest(inputs, {each: (inputs / "sent" / each, address, ()) for each in "ab"})
        return inputs

    return prepare


@pytest.fixture(scope="session")
def whole(inputs, tmp_path_factory):
    """By name of a case: its inputs, the bytes of its uninterrupted run, and when that wrote."""

    @cache
    def run(name):
        folder = tmp_path_factory.mktemp(name)
        end = cases.Running(cases.CASES[name], folder, inputs(name)).end()
        assert end.code == 0, end
        assert not cases.half_written(folder)
        return inputs(name), cases.bytes_of(folder), end.writes

    return run
