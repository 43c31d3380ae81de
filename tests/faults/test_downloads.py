"""Downloads against a server on loopback: resume, pins, redirects, refusals."""

import hashlib
import http.server
import threading

import pytest

from otolith.core.downloads import download, require_licence
from otolith.core.errors import DownloadError, IntegrityError, LicenceError

BODY = bytes(range(256)) * 400
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Range")))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", self.server.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        start = 0
        if (ranged := self.headers.get("Range")) and self.path != "/norange":
            start = int(ranged.removeprefix("bytes=").removesuffix("-"))
        if start > len(BODY):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start and self.path == "/shifted":
            self.send_header("Content-Range", f"bytes {start - 500}-{len(BODY)}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        end = len(BODY)
        if self.path == "/breaks" and len(self.server.seen) < 3:
            end = start + 30_000
        self.wfile.write(BODY[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.seen, httpd.redirect = [], ""
        httpd.base = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def test_fetches_once_and_checks_the_pin(server, tmp_path):
    target = tmp_path / "sub" / "f.bin"
    got = download(f"{server.base}/f", target, sha256=SHA, size_bytes=len(BODY))
    assert got.fetched
    assert got.sha256 == SHA
    assert target.read_bytes() == BODY
    assert not download(f"{server.base}/f", target, sha256=SHA).fetched
    assert len(server.seen) == 1


def test_goes_on_after_a_broken_connection(server, tmp_path):
    target = tmp_path / "f.bin"
    download(f"{server.base}/breaks", target, sha256=SHA)
    assert target.read_bytes() == BODY
    assert [r for _, r in server.seen] == [None, "bytes=30000-", "bytes=60000-"]


def test_goes_on_from_an_earlier_part(server, tmp_path):
    (tmp_path / "f.bin.part").write_bytes(BODY[:1000])
    download(f"{server.base}/f", tmp_path / "f.bin", sha256=SHA)
    assert server.seen == [("/f", "bytes=1000-")]
    assert not (tmp_path / "f.bin.part").exists()


def test_starts_over_when_the_server_cannot_resume(server, tmp_path):
    (tmp_path / "f.bin.part").write_bytes(b"old")
    download(f"{server.base}/norange", tmp_path / "f.bin", sha256=SHA)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    (tmp_path / "g.bin.part").write_bytes(BODY + b"too long")
    download(f"{server.base}/f", tmp_path / "g.bin", sha256=SHA)
    assert (tmp_path / "g.bin").read_bytes() == BODY


def test_wrong_hash_or_size_is_removed(server, tmp_path):
    for pin in ({"sha256": "0" * 64}, {"size_bytes": 5}):
        with pytest.raises(IntegrityError, match="instead of"):
            download(f"{server.base}/f", tmp_path / "f.bin", **pin)
        assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_on_disk_is_fetched_again(server, tmp_path):
    (tmp_path / "f.bin").write_bytes(b"damaged")
    assert download(f"{server.base}/f", tmp_path / "f.bin", sha256=SHA).fetched


def test_a_file_of_the_wrong_size_is_fetched_again(server, tmp_path):
    target = tmp_path / "f.bin"
    target.write_bytes(BODY[:100])
    assert download(server.base + "/a", target, size_bytes=len(BODY)).fetched
    assert target.read_bytes() == BODY
    assert not download(server.base + "/a", target, size_bytes=len(BODY)).fetched


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "https://"]
)
def test_only_https(tmp_path, url):
    with pytest.raises(DownloadError, match="not an https"):
        download(url, tmp_path / "x")


def test_redirects_to_insecure_addresses_are_refused(server, tmp_path):
    server.redirect = "http://example.org/x"
    with pytest.raises(DownloadError, match="not an https"):
        download(f"{server.base}/redirect", tmp_path / "x", attempts=1)


def test_missing_and_unreachable(server, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        download(f"{server.base}/missing", tmp_path / "x")
    with pytest.raises(DownloadError, match="cannot be reached"):
        download("http://127.0.0.1:9/x", tmp_path / "x", attempts=1)


def test_offline_says_where_to_put_the_file(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    with pytest.raises(DownloadError, match="Put the file") as caught:
        download(f"{server.base}/f", tmp_path / "x")
    assert str(tmp_path / "x") in str(caught.value)
    assert server.seen == []


def test_licence_gate_remembers(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path))
    with pytest.raises(LicenceError, match="--accept-licence"):
        require_licence("d", "CC BY 4.0", "https://x")
    require_licence("d", "CC BY 4.0", "https://x", accept=True)
    require_licence("d", "CC BY 4.0", "https://x")
    with pytest.raises(LicenceError):
        require_licence("d", "another", "")


def test_a_server_that_sends_another_range_is_asked_again(server, tmp_path):
    (tmp_path / "f.bin.part").write_bytes(BODY[:1000])
    download(f"{server.base}/shifted", tmp_path / "f.bin", sha256=SHA)
    assert (tmp_path / "f.bin").read_bytes() == BODY
    assert [r for _, r in server.seen] == ["bytes=1000-", None]
