"""Which links lead out of a tree, as they are written and by way of others."""

from __future__ import annotations

import pytest

from sparki_daemon.system.links import outward


@pytest.mark.parametrize("target", ["app.txt", "./app.txt", "../app.txt", "../a/./b//c", "nowhere", "../a/b/../../x", "..", "", "."])
def test_a_link_into_its_tree_stays_whether_anything_is_there_or_not(target: str) -> None:
    assert outward({"a/link": target}) == {}


@pytest.mark.parametrize("target", ["/etc/passwd", "/", "../../x", "../a/../../x", "../..", "x/../../../a/link"])
def test_a_link_that_is_absolute_or_climbs_over_the_root_leads_out(target: str) -> None:
    assert outward({"a/link": target}) == {"a/link": target}


def test_a_link_leads_out_by_way_of_another_and_is_told_beside_it() -> None:
    links = {"deep/er": "..", "out": "deep/er/../x", "a": "b/c", "fine": "a/../../x", "root": "/", "far": "root/tmp"}

    assert sorted(outward(links)) == ["far", "out", "root"]  # `fine`: the folder above what `a` leads to is b


def test_links_in_a_circle_lead_nowhere_and_stay() -> None:
    assert outward({"a": "b", "b": "a/x", "c": "c"}) == {}
