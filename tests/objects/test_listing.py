"""What a path in an object store stands for."""

from __future__ import annotations

import sys

import pytest

from forebay.errors import ForebayError
from forebay.objects.listing import Object, fixed, joined, matching, placed, under


def _names(pattern: str, *keys: str) -> list[str]:
    objects = [Object(f"s3://b/{key}", 1, 0, "tag") for key in keys]
    return [one.url.removeprefix("s3://b/") for one in matching(f"s3://b/{pattern}", objects, lambda url: url.endswith(".csv"))]


def test_a_glob_matches_within_folders_and_two_stars_across_them() -> None:
    keys = ("a/1.csv", "a/b/2.csv", "a/b/c/3.csv", "a/.4.csv", "a/.d/5.csv")
    assert _names("a/*.csv", *keys) == ["a/1.csv"]
    assert _names("a/*/*.csv", *keys) == ["a/b/2.csv"]
    assert _names("a/**/*.csv", *keys) == ["a/1.csv", "a/b/2.csv", "a/b/c/3.csv"]
    assert _names("a/.*.csv", *keys) == ["a/.4.csv"]
    assert _names("**/[23].csv", *keys) == ["a/b/2.csv", "a/b/c/3.csv"]


def test_an_object_comes_before_a_folder_and_a_folder_before_a_glob() -> None:
    assert _names("a[1].csv", "a[1].csv", "a1.csv") == ["a[1].csv"]
    assert _names("x[1]", "x[1]/2.csv", "x1") == ["x[1]/2.csv"]
    assert _names("a", "a/1.csv", "a/_2.csv", "a/3.txt", "ab/4.csv") == ["a/1.csv"]


def test_where_a_pattern_begins_is_listed() -> None:
    assert [fixed(key) for key in ("a/b/*.csv", "a/b", "*.csv", "a/b=?/c")] == ["a/b", "a/b", "", "a"]
    assert placed("s3://b") == ("b", "")
    for wrong in ("s3:///a", "s3://b*/a", "gs://b/a"):
        with pytest.raises(ValueError, match="by name"):
            placed(wrong)


def test_names_in_a_manifest_are_relative_to_it() -> None:
    assert joined("s3://b/in", "1/a.csv") == "s3://b/in/1/a.csv"
    assert joined("s3://b/in", "../a.csv") == "s3://b/a.csv"
    assert joined("s3://b/in", "s3://c/a.csv") == "s3://c/a.csv"


def test_without_the_optional_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ForebayError, match=r"project\.extra.*forebay\[s3\]"):
        list(under("s3://b/a/*.csv"))
