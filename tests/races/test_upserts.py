"""Search attributes that two processes set on one run, each of sixteen clients another one: none is lost."""

from __future__ import annotations

import pytest

from assay_wsgi.domain.requests import ListFilter
from assay_wsgi.jsontext import loads
from tests.engine.stories import given_a_run

from . import racer
from .contest import Contest
from .contest import act

NAMES = ("plain", "a.b", 'say "x"', "a[0]", "$", "$.x", "%", "%s", "?", "ä", "日本", "it's", "\\", "`", "a b", "😀")


@pytest.mark.parametrize("url", ["sqlite_url", "postgres_url"])
def test_attributes_that_are_set_at_the_same_time_are_all_there_and_found(
    url: str, request: pytest.FixtureRequest
) -> None:
    contest = Contest(request.getfixturevalue(url))
    with contest.engine() as engine:
        given_a_run(engine, "w", task_queue=racer.QUEUE, search_attributes={"mine": 1})
    clients = [[act("upsert", workflow_id="w", name=name, value=f"of {name}")] for name in NAMES]

    with contest.rivals() as (one, two):
        said = contest.storm(one, two, (clients[:8], clients[8:]))

    assert [code for client in said for code, _ in client] == ["ok"] * len(NAMES)
    with contest.engine() as engine:
        kept = loads(engine.workflows.describe("w")["search_attributes"])
        assert {name: kept.get(name) for name in NAMES} == {name: f"of {name}" for name in NAMES}
        assert kept["mine"] == 1
        for name in NAMES:
            quoted = "`" + name.replace("`", "``") + "`"
            value = f"of {name}".replace("'", "''")
            for wanted in (ListFilter(search_attrs={name: f"of {name}"}), ListFilter(q=f"{quoted} = '{value}'")):
                assert engine.workflows.count(wanted) == {"count": 1}, name
    assert contest.broken_rules() == []
    assert contest.sightings["unique violation"] == 0
