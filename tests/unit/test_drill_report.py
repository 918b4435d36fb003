"""How a drill reads: the sentence first, then the objectives, what did not hold, and what was not covered."""

from datetime import timedelta

import pytest

from tasks.core.drill import NegativeControl, Past
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports import bulletin_html, bulletin_markdown, drills
from tests.unit.test_drill import GIB, NOW, drill, held, recovery

PNG = b"\x89PNG"


def test_the_sentence_says_how_soon_how_much_is_lost_and_what_was_promised():
    made = drill(recovery(lost=185))
    assert drills.sentence(made) == "APEX would be back in 1 min 10 s having lost 3 min 5 s; targets 4 h / 15 min"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"systems": (recovery(outcome=Outcome.FAILED),)}, "would not be back: database did not come back well"),
        ({"systems": ()}, "nothing was restored, so nothing is proven"),
        ({"interrupted": "cancelled"}, "ended before its time (cancelled), and proves nothing"),
        ({"rpo_target": None}, "targets 4 h / none"),
        ({"systems": (recovery(recovered_to=None),)}, "having lost an unknown amount"),
    ],
)
def test_the_sentence_never_promises_what_was_not_proven(change, said):
    assert said in drills.sentence(drill(recovery()).model_copy(update=change))


def test_a_damaged_copy_that_stayed_green_is_the_first_thing_said():
    blind = NegativeControl(name="bit-flipped", system="database", red=False)
    told = drills.bulletin(drill(recovery(), negative_controls=(blind,)))
    assert told.verdict is Verdict.FAILED
    assert told.problems[0].text == "database bit-flipped"


def test_what_is_not_covered_and_what_is_left_running_are_named():
    told = drills.bulletin(drill(recovery(), not_covered=("cluster: only a dry run",), left_running=("postgres 42",)))
    lines = {line.text: line for _, line in told.rows()}
    assert lines["cluster"].note == "only a dry run"
    assert lines["postgres 42 could not be torn down"].outcome is Outcome.FAILED


def test_charts_show_the_phases_and_from_the_second_drill_on_the_trend():
    first = drills.bulletin(drill(recovery(), recovery("cache", after=3)))
    assert [one.name for one in first.pictures] == ["timeline.png"]
    past = (Past(NOW - timedelta(days=91), 900.0, None, GIB, Verdict.PASSED),)
    second = drills.bulletin(drill(recovery(), trend=past))
    assert [one.name for one in second.pictures] == ["trend.png", "timeline.png"]
    assert all(one.light.startswith(PNG) and one.dark.startswith(PNG) for one in second.pictures)
    assert all(one.light != one.dark for one in second.pictures)


def test_every_assertion_stands_in_the_page_and_what_did_not_hold_in_the_artifact():
    failed = held(Outcome.FAILED).model_copy(update={"name": "rows of orders", "observed": "0", "expected": "7"})
    told = drills.bulletin(drill(recovery(outcome=Outcome.FAILED, assertions=(held(Outcome.PASSED), failed))))
    assert "rows of orders" in bulletin_html.render(told)
    assert "observed 0 · expected 7" in bulletin_markdown.render(told)


def test_a_drill_that_was_cut_off_before_any_system_can_be_told():
    told = drills.bulletin(drill(interrupted="cancelled in provision"))
    assert told.warnings == ("Interrupted: cancelled in provision",)
    assert bulletin_html.render(told)
