"""The table of Spring's matcher for the destinations that occur."""

from __future__ import annotations

import pytest

from harness.synapse.ant import is_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "destination", "expected"),
    [
        ("/topic/**", "/topic/notifications", True),
        ("/topic/**", "/topic", True),
        ("/topic/**", "/topic/a/b/", True),
        ("/topic/**", "/topics/a", False),
        ("/**", "/topic/a", True),
        ("**", "/topic/a", False),
        ("/topic/*", "/topic/notifications", True),
        ("/topic/*", "/topic/a/b", False),
        ("/topic/*", "/topic", False),
        ("/topic/*", "/topic/", True),
        ("/topic/*", "/topic/a/", False),
        ("/topic/*/", "/topic/a/", True),
        ("/topic/tenant/7/*", "/topic/tenant/7/alerts", True),
        ("/topic/not?fications", "/topic/notifications", True),
        ("/topic/a?", "/topic/a", False),
        ("/topic/n*s", "/topic/notifications", True),
        ("/topic/n*x", "/topic/notifications", False),
        ("/topic/**/alerts", "/topic/alerts", True),
        ("/topic/**/alerts", "/topic/a/b/alerts", True),
        ("/topic/**/alerts", "/topic/a/b/alerts/", False),
        ("/topic/**/x/**/alerts", "/topic/a/x/b/alerts", True),
        ("/topic/**/x/**/alerts", "/topic/a/b/alerts", False),
        ("/topic//a*", "/topic/a", True),
        ("/topic/{name}", "/topic/notifications", True),
        ("/topic/{name}", "/topic/a/b", False),
        ("/topic/{name:probe-1|notifications}", "/topic/notifications", True),
        ("/topic/{name:probe-1|notifications}", "/topic/probe-1", True),
        ("/topic/{name:probe-1|notifications}", "/topic/probe-2", False),
        ("/topic/{id:[0-9]{2}}-{name}", "/topic/17-a", True),
        ("/topic/{id:[}/*", "/topic/a/b", False),
        ("/topic/a.b*", "/topic/axb", False),
        ("/topic/한*", "/topic/한글", True),
    ],
)
def test_a_pattern_takes_the_destinations_that_spring_takes(pattern: str, destination: str, expected: bool) -> None:
    assert matches(pattern, destination) is expected


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("/topic/x", False),
        ("/topic/*", True),
        ("/topic/a?", True),
        ("/topic/{a}", True),
        ("/topic/}{", False),
    ],
)
def test_a_wildcard_makes_a_pattern(destination: str, expected: bool) -> None:
    assert is_pattern(destination) is expected
