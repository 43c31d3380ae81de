"""Ways to damage one file of a release, for tests that a reader refuses it."""

import json
import shutil


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def binary(path):
    path.write_bytes(b"\xff\xfe\xe9\n1,2\n")


def text(content):
    return lambda path: path.write_text(content, encoding="utf-8")


def replace(old, new):
    def damage(path):
        before = path.read_text(encoding="utf-8")
        assert old in before
        path.write_text(before.replace(old, new), encoding="utf-8")

    return damage


def lines(change):
    """Change the list of a text file's lines."""

    def damage(path):
        found = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(change(found)) + "\n", encoding="utf-8")

    return damage


def edit_json(change):
    def damage(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return damage
