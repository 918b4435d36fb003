"""What a person sees in a browser: the form, the run and its artifacts, the message in Slack, the page on a phone."""

import re
from contextlib import closing

import pytest
from playwright.sync_api import expect

from tasks.platforms import load, platform_names
from tasks.reports import status_page
from tests.browser import chromium, prefect_pages
from tests.browser.conftest import SYSTEMS
from tests.golden.digests import EVENING, STANDINGS

pytestmark = [pytest.mark.browser, pytest.mark.lab, pytest.mark.prefect]

PHONE = {"width": 390, "height": 844}


def test_the_form_offers_platforms_and_systems_and_says_what_each_field_is_for(look, up):
    page = look.page
    prefect_pages.open_form(page, up.ui, "apex")
    page.get_by_role("button", name="Select platform").click()
    assert page.get_by_role("option").all_inner_texts() == platform_names()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Select systems").click()
    assert set(page.get_by_role("option").all_inner_texts()) >= set(load("apex").systems)
    page.keyboard.press("Escape")
    expect(page.get_by_role("switch", name="tell")).to_be_checked()
    for words in ("What is checked", "Only these systems", "Tell the platform's channel"):
        expect(page.get_by_text(words)).to_be_visible()


def test_the_form_refuses_a_platform_that_does_not_exist_and_says_which_there_are(look, up):
    page = look.page
    prefect_pages.open_form(page, up.ui, "apex")
    prefect_pages.write_the_platform(page, '"apx"')
    page.get_by_role("button", name="Submit").click()
    refused = page.get_by_text(re.compile(r"'apx' is not one of .*'apex', 'eyewear'")).first
    expect(refused).to_be_visible()
    expect(page.get_by_role("link", name="View run")).to_have_count(0)


def test_a_run_from_the_form_checks_what_was_chosen_and_shows_its_verdict_and_table(look, checked):
    assert checked.state == "Failed"
    page = look.page
    page.goto(checked.address)
    prefect_pages.open_artifact(page, "health-check-apex")
    main = page.get_by_role("main")
    expect(main.get_by_role("heading", name="SIGN X Studio: failed")).to_be_visible()
    expect(main.get_by_text("cache does not answer").first).to_be_visible()
    expect(main.get_by_text("on 2 systems").first).to_be_visible()
    page.goto(checked.address)
    prefect_pages.open_artifact(page, "health-check-apex-findings")
    for system in SYSTEMS:
        expect(main.get_by_role("cell", name=system, exact=True).first).to_be_visible()


def test_slack_shows_the_run_with_its_thread_and_its_chart(look, up, checked):
    page = look.page
    page.goto(up.slack)
    page.get_by_role("link", name="apex-oncall").click()
    message = page.locator("#log > .message")
    expect(message).to_have_count(1)
    expect(message.get_by_text("SIGN X Studio: failed").first).to_be_visible()
    expect(message.get_by_text("cache does not answer").first).to_be_visible()
    button = message.get_by_role("link", name="Open the run").first
    assert checked.address.split("?")[0].endswith(button.get_attribute("href").rpartition("/")[2])
    message.locator("summary").click()
    chart = message.locator(".replies img").first
    expect(chart).to_be_visible()
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_report_reads_on_a_phone_without_any_network(phone, checked, colours):
    page = phone.page
    page.emulate_media(color_scheme=colours)
    page.goto(checked.report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    expect(page.get_by_role("heading", name="SIGN X Studio: failed")).to_be_visible()
    problems = page.get_by_role("region", name="What to look at")
    expect(problems.get_by_role("heading", name="cache does not answer")).to_be_visible()
    back, front = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (brightness(back) > brightness(front)) is (colours == "light")
    assert phone.asked == [checked.report.as_uri()]
    assert phone.errors == []


def test_a_status_page_that_lies_about_turns_stale_by_the_readers_own_clock(phone, tmp_path):
    file = tmp_path / "apex.html"
    file.write_text(status_page.render(STANDINGS["well"]()), encoding="utf-8")
    page = phone.page
    page.clock.install(time=EVENING)
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", name="SIGN X Studio: all is well")).to_be_visible()
    page.clock.fast_forward("17:00:00")
    expect(page.get_by_role("heading", name="SIGN X Studio: stale")).to_be_visible()
    expect(page.get_by_text("this page does not know how it is now")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert (phone.asked, phone.errors) == ([file.as_uri()], [])


@pytest.fixture
def phone(browser):
    with (
        closing(browser.new_context(viewport=PHONE, device_scale_factor=2, is_mobile=True)) as context,
        chromium.look(context) as seen,
    ):
        yield seen


def brightness(colour):
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])
