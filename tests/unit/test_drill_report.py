"""How a drill reads: the sentence first, then the objectives, what did not hold, and what was not covered."""

from datetime import timedelta

import pytest

from tasks.core.drill import NegativeControl, Past, Projection
from tasks.core.report import Verdict
from tasks.core.results import Outcome
from tasks.reports import bulletin_html, bulletin_markdown, drills
from tests.unit.test_drill import GIB, NOW, drill, held, recovery

PNG = b"\x89PNG"
AT_TWICE = Projection(plain_bytes=2 * GIB, seconds=18_000, basis="one drill alone")
BLIND = NegativeControl(name="bit-flipped", system="database", red=False)


def test_the_sentence_says_how_soon_how_much_is_lost_and_what_was_promised():
    made = drill(recovery(lost=185))
    assert drills.sentence(made) == "APEX would be back in 1 min 10 s having lost 3 min 5 s; targets 4 h / 15 min"


def test_nothing_is_in_time_where_no_time_was_promised():
    red = (NegativeControl(name="bit-flipped", system="database", red=True),)
    made = drill(recovery()).model_copy(update={"assertions": (held(Outcome.PASSED),), "negative_controls": red})
    assert made.verdict is Verdict.PASSED
    assert drills.bulletin(made).word == "would be back in time"
    assert drills.bulletin(made.model_copy(update={"rto_target": None, "rpo_target": None})).word == "would be back"


@pytest.mark.parametrize(
    ("rto", "rpo", "missed"),
    [(60.0, 900.0, "(RTO missed)"), (900.0, 60.0, "(RPO missed)"), (60.0, 60.0, "(RTO and RPO missed)")],
)
def test_the_sentence_says_which_promise_was_not_kept(rto, rpo, missed):
    assert drills.sentence(drill(recovery(lost=185), rto_target=rto, rpo_target=rpo)).endswith(missed)
    assert "missed" not in drills.sentence(drill(recovery(lost=185)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"systems": (recovery(outcome=Outcome.FAILED),)}, "would not be back: database did not come back well"),
        ({"systems": ()}, "nothing was restored, so nothing is proven"),
        ({"interrupted": "cancelled"}, "ended before its time (cancelled), and proves nothing"),
        ({"assertions": (held(Outcome.FAILED),)}, "would not be back well: rows did not hold"),
        ({"negative_controls": (BLIND,)}, "a damaged copy was taken for a sound one (database bit-flipped)"),
        ({"rpo_target": None}, "targets 4 h / none"),
        ({"systems": (recovery(recovered_to=None),)}, "having lost an unknown amount"),
    ],
)
def test_the_sentence_never_promises_what_was_not_proven(change, said):
    assert said in drills.sentence(drill(recovery()).model_copy(update=change))


def test_a_damaged_copy_that_stayed_green_is_the_first_thing_said():
    told = drills.bulletin(drill(recovery(), negative_controls=(BLIND,)))
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


def test_what_a_drill_at_another_size_takes_is_told_with_what_it_rests_on_or_that_it_cannot_be():
    first = {line.text: line for _, line in drills.bulletin(drill(recovery(), at_twice=AT_TWICE)).rows()}
    assert "How long a drill next quarter takes cannot be told yet" in first
    assert first["A drill of twice the size would take"].facts == ("5 h", "at 2 GiB", "from one drill alone")
    assert first["A drill of twice the size would take"].outcome is Outcome.WARNED
    later = AT_TWICE.model_copy(update={"basis": "3 drills", "seconds": 90.0})
    told = {line.text: line for _, line in drills.bulletin(drill(recovery(), next_quarter=later)).rows()}
    assert told["A drill next quarter would take"].facts[-1] == "from 3 drills"
    cut_off = drills.bulletin(drill(recovery(), interrupted="cancelled", at_twice=AT_TWICE))
    assert not [line for _, line in cut_off.rows() if "would take" in line.text]


def test_every_assertion_stands_in_the_page_and_what_did_not_hold_in_the_artifact():
    failed = held(Outcome.FAILED).model_copy(update={"name": "rows of orders", "observed": "0", "expected": "7"})
    told = drills.bulletin(drill(recovery(outcome=Outcome.FAILED, assertions=(held(Outcome.PASSED), failed))))
    assert "rows of orders" in bulletin_html.render(told)
    assert "observed 0 · expected 7" in bulletin_markdown.render(told)


def test_a_drill_that_was_cut_off_before_any_system_can_be_told():
    told = drills.bulletin(drill(interrupted="cancelled in provision"))
    assert told.warnings == ("Interrupted: cancelled in provision",)
    assert bulletin_html.render(told)
