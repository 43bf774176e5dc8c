"""Which files a path matches."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small import Small

from forebay.errors import ForebayError
from forebay.project.project import Source
from forebay.refresh import observe
from forebay.refresh.observe import listing


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, folders and links of many kinds."""
    root = tmp_path_factory.mktemp("tree") / "a [b]"
    for name in ("x.csv", ".x.csv", "X.CSV", "x.csv.gz", "y[1].csv", "d/x.csv", "d/.h/x.csv", "d/e/z.csv", ".d/x.csv", "k=1/x.csv", "k=2/x.csv", "_x.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("v\n1\n")
    (root / "folder.csv").mkdir()
    (root / "link.csv").symlink_to(root / "d/e/z.csv")
    (root / "nowhere.csv").symlink_to(root / "nothing")
    (root / "itself.csv").symlink_to(root / "itself.csv")
    (root / "d/up").symlink_to(root / "k=1")
    return root


@pytest.mark.parametrize(
    "pattern",
    ["*.csv", "*", "x.*", ".*", ".*.csv", "[xX].[cC]*", "y[[]1].csv", "d/*.csv", "*/*.csv", "*/x.csv", "**/*.csv", "**", "d/**", "k=*/*", "d/../*.csv",
     "./*.csv", "d//*.csv", "*/*/*.csv", "?.csv", "*.csv/*"],
)  # fmt: skip
def test_a_glob_matches_what_glob_does(tree: Path, pattern: str) -> None:
    found = {os.path.normpath(path) for path in glob.glob(f"{glob.escape(str(tree))}/{pattern}", recursive=True) if Path(path).is_file()}  # noqa: PTH207
    source = Source("s", (pattern,), "csv")
    if found:
        # Of a file and a link to it there is one, by its last name.
        names = {os.path.realpath(path): path for path in sorted(found, reverse=True)}
        assert listing(source, tree) == tuple(sorted(names.values()))
    else:
        with pytest.raises(ForebayError, match=r"source.missing"):
            listing(source, tree)


def test_all_files_of_the_format_in_a_folder_but_hidden_ones(tree: Path) -> None:
    found = [str(Path(path).relative_to(tree)) for path in listing(Source("s", (".",), "csv"), tree)]
    assert found == [".d/x.csv", "X.CSV", "d/.h/x.csv", "d/e/z.csv", "d/x.csv", "k=1/x.csv", "k=2/x.csv", "x.csv", "x.csv.gz", "y[1].csv"]


@pytest.mark.parametrize("path", ["data", "data/*.csv", "data/*/*.csv"])
def test_files_in_a_folder_that_cannot_be_listed_are_not_taken_for_removed(small: Small, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    small.declare(sources={"s": {"path": path, "format": "csv"}}, tier2={"n": "SELECT count(*) AS n FROM s"})
    for name in ("a", "b/a", "c/a"):
        small.write(f"data/{name}.csv", "v\n1\n")
    small.refresh()
    before = small.edition()
    small.write("data/b/more.csv", "v\n1\n")
    small.write("data/more.csv", "v\n1\n")
    closed = "data" if path == "data/*.csv" else "b"
    scandir = os.scandir

    def refusing(folder: str | int = ".") -> Iterator[os.DirEntry[str]]:
        if str(folder).endswith(f"/{closed}"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(observe.os, "scandir", refusing)
    outcome = small.refresh()
    (told,) = outcome.sources.kept
    assert (told.code, Path(told.where).name) == ("source.unreadable", closed)
    assert small.edition().sources["s"].files == before.sources["s"].files
