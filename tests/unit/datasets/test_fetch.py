"""Fetching a made-up release from a server on loopback: once, checked, under a licence."""

import dataclasses
import http.server
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from otolith.core.config import config
from otolith.core.errors import DataError, DownloadError, IntegrityError, LicenceError
from otolith.core.files import read_json, write_json
from otolith.datasets import DATASETS, Card, RemoteFile, Source, Split, register_dataset
from otolith.datasets._fetch import fetch
from otolith.recordings import Annotation, Channel, Gravity, ImuStream, Recording
from otolith.recordings.store import DataFolder

NAME = "made_up"


def zipped(value=1.0):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("release/values.txt", f"{value}\n" * 40)
    return content.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked = []
        httpd.bodies = {"/data.zip": zipped(), "/people.txt": b"1 anna\n"}
        httpd.base = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield httpd
        httpd.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OTOLITH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OTOLITH_OFFLINE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def component(server):
    @config
    class Settings:
        root: Path

    class MadeUp:
        """Invented: one file of numbers."""

        SOURCE = Source(
            licence="CC0-1.0",
            licence_url="https://example.org/licence",
            cite="Nobody, 2020.",
            homepage="https://example.org",
            files=(RemoteFile(name="data.zip", url=f"{server.base}/data.zip", unpack=True),),
        )
        CARD = Card(
            title="Made up", description="Invented.", rate_hz=(10.0,), placements=("wrist",),
            gravity=Gravity.INCLUDED, num_subjects=1, labels=("walking",),
        )  # fmt: skip
        Config = Settings

        @staticmethod
        def recordings(config):
            path = next(config.root.rglob("values.txt"), None)
            if path is None:
                raise DataError(f"{config.root} has no values.txt.", "Get the release.")
            samples = np.loadtxt(path, dtype=np.float32)[:, None]
            stream = ImuStream(
                name="imu", samples_TC=samples, rate_hz=10.0,
                channels=(Channel.from_name("acc_x"),),
            )  # fmt: skip
            note = Annotation(start_s=0.0, end_s=4.0, labels=("walking",))
            yield Recording(
                id="r1", subject="1", dataset=NAME, streams={"imu": stream}, annotations=(note,)
            )

        @staticmethod
        def splits():
            return {"subjects": Split(train=("1",), test=())}

    register_dataset(NAME)(MadeUp)
    yield MadeUp
    DATASETS.unregister(NAME)


def with_source(component, **changes):
    component.SOURCE = dataclasses.replace(component.SOURCE, **changes)
    return component


def test_a_release_is_fetched_checked_and_converted(component, server, home):
    folder = fetch(NAME, component, accept_licence=True)
    assert folder == home / "data" / NAME
    samples = DataFolder.open(folder).recording("r1").imus["imu"].samples_TC
    assert np.asarray(samples).sum() == 40.0
    assert server.asked == ["/data.zip"]
    assert len(read_json(home / "downloads" / NAME / "sha256.json")["data.zip"]) == 64


def test_what_is_here_is_not_fetched_again(component, server):
    first = fetch(NAME, component, accept_licence=True)
    assert fetch(NAME, component) == first
    assert server.asked == ["/data.zip"]


def test_a_kept_download_is_used_again_and_checked(component, server, home, monkeypatch):
    folder = fetch(NAME, component, accept_licence=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    assert fetch(NAME, component) == folder
    assert server.asked == ["/data.zip"], "the licence was accepted and the file is there"


def test_a_file_that_changed_at_the_publishers_is_refused(component, server, home):
    fetch(NAME, component, accept_licence=True)
    for part in ("data", "downloads"):
        for path in (home / part).rglob("*"):
            if path.name in {"MANIFEST.json", "data.zip"}:
                path.unlink()
    server.bodies["/data.zip"] = zipped(2.0)
    with pytest.raises(IntegrityError, match="sha256"):
        fetch(NAME, component)
    assert not (home / "downloads" / NAME / "data.zip").exists()


def test_a_pinned_hash_is_checked(component, server, home):
    wrong = dataclasses.replace(component.SOURCE.files[0], sha256="0" * 64)
    with pytest.raises(IntegrityError, match="sha256"):
        fetch(NAME, with_source(component, files=(wrong,)), accept_licence=True)
    assert not (home / "data" / NAME).exists()


def test_the_licence_comes_before_everything(component, server, home):
    with pytest.raises(LicenceError, match=r"CC0-1\.0 \(https://example.org/licence\)"):
        fetch(NAME, component)
    assert server.asked == []
    assert not home.exists()
    fetch(NAME, component, accept_licence=True)
    assert read_json(home / "licences.json") == {NAME: "CC0-1.0"}


def test_a_changed_licence_is_asked_again(component, home):
    write_json(home / "licences.json", {NAME: "MIT"})
    with pytest.raises(LicenceError):
        fetch(NAME, component)


def test_several_files_lie_side_by_side(component, server, home):
    files = (*component.SOURCE.files, RemoteFile(name="people.txt", url=f"{server.base}/people.txt"))  # fmt: skip
    fetch(NAME, with_source(component, files=files), accept_licence=True)
    assert server.asked == ["/data.zip", "/people.txt"]
    assert (home / "downloads" / NAME / "people.txt").read_bytes() == b"1 anna\n"


def test_an_archive_within_the_archive_is_unpacked(component, server, home):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("Inner Data.zip", zipped(2.0))
        archive.writestr("readme.txt", "made up")
    server.bodies["/data.zip"] = content.getvalue()
    folder = fetch(NAME, component, accept_licence=True)
    samples = DataFolder.open(folder).recording("r1").imus["imu"].samples_TC
    assert np.asarray(samples).sum() == 80.0
    unpacked = home / "downloads" / NAME / "release"
    assert sorted(p.name for p in unpacked.iterdir()) == ["readme.txt", "release"]


def test_what_needs_a_hand_is_said(component):
    by_hand = with_source(component, manual="Write to the authors.")
    with pytest.raises(DownloadError, match=r"without you.*Write to the authors.*--format made_up"):
        fetch(NAME, by_hand, accept_licence=True)
    with pytest.raises(DownloadError, match=r"https://example.org"):
        fetch(NAME, with_source(component, manual="", files=()), accept_licence=True)


def test_offline_and_missing_files_leave_no_data(component, server, home, monkeypatch):
    monkeypatch.setenv("OTOLITH_OFFLINE", "1")
    with pytest.raises(DownloadError, match="OTOLITH_OFFLINE"):
        fetch(NAME, component, accept_licence=True)
    assert server.asked == []
    monkeypatch.delenv("OTOLITH_OFFLINE")
    del server.bodies["/data.zip"]
    with pytest.raises(DownloadError, match="404"):
        fetch(NAME, component)
    assert not (home / "data").exists()


def test_a_release_that_cannot_be_read_can_be_tried_again(component, server, home):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("release/other.txt", "1\n")
    good, server.bodies["/data.zip"] = server.bodies["/data.zip"], content.getvalue()
    with pytest.raises(DataError, match="no values.txt"):
        fetch(NAME, component, accept_licence=True)
    assert not (home / "data" / NAME).exists()
    for name in ("data.zip", "sha256.json"):
        (home / "downloads" / NAME / name).unlink()
    server.bodies["/data.zip"] = good
    assert fetch(NAME, component) == home / "data" / NAME
