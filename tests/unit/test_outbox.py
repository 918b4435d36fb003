"""A report is told once, and none is lost; against the Slack stand-in, with its bad days."""

import base64
from datetime import timedelta

import pytest

from deployments.lab.servers import free_ports
from deployments.lab.slack import SlackStandIn
from tasks.clients.blobs import FolderStore, MemoryStore
from tasks.clients.outbox import Attachment, Message, Outbox, Parcel
from tasks.clients.slack import Bot, Mark, Unclear, Webhook
from tasks.core.errors import Denied, NotOffered, Unreachable
from tests.golden.reports import NOW

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50


class Killed(BaseException):
    """Stands for the end of the process."""


class Clock:
    def __init__(self):
        self.time = NOW

    def __call__(self):
        return self.time

    def wait(self, **much):
        self.time += timedelta(**much)


class LossyBot(Bot):
    """Posts, and then the answer or the process is lost, for so many calls."""

    def __init__(self, url, loss, times):
        super().__init__("xoxb-lab", url)
        self.loss, self.times = loss, times

    def _lose(self):
        if self.times:
            self.times -= 1
            raise self.loss

    def post(self, *args, **more):
        posted = super().post(*args, **more)
        self._lose()
        return posted

    def upload(self, *args, **more):
        super().upload(*args, **more)
        self._lose()


class Forgetful(LossyBot):
    """May not read the channel's history."""

    def find(self, *_, **__):
        raise NotOffered("missing_scope")


def section(text):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def parcel(number=1, channel="#apex-oncall", *, details=2, chart=True, **more):
    return Parcel(
        id=f"apex-{number}",
        channel=channel,
        created=NOW + timedelta(minutes=number),
        summary=Message(text=f"summary {number}", blocks=(section(f"*summary {number}*"),)),
        details=tuple(Message(text=f"details {page}") for page in range(details)),
        files=(Attachment(name="overview.png", title="Overview", data=base64.b64encode(PNG)),) if chart else (),
        **more,
    )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def slack(tmp_path):
    with SlackStandIn(tmp_path / "slack", clock=NOW.timestamp) as stand_in:
        yield stand_in


@pytest.fixture
def blobs(tmp_path):
    return FolderStore(tmp_path / "outbox")


@pytest.fixture
def outbox(blobs, clock):
    return Outbox(blobs, now=clock, pause=lambda _: None)


@pytest.fixture
def bot(slack):
    return Bot("xoxb-lab", slack.api_url)


def texts(slack, channel="#apex-oncall"):
    return [message["text"] for message in slack.messages(channel)]


def thread(slack, channel="#apex-oncall"):
    (message,) = slack.messages(channel)
    replies = slack.replies(channel, message["ts"])
    return [reply["text"] or reply["files"][0]["name"] for reply in replies]


def test_a_report_is_told_with_its_details_and_its_chart_in_the_thread(outbox, bot, slack):
    assert outbox.put(parcel())
    delivery = outbox.flush(bot)
    assert delivery == (("apex-1",), (), ())
    assert texts(slack) == ["summary 1"]
    assert thread(slack) == ["details 0", "details 1", "apex-1-overview.png"]
    assert outbox.pending() == []


def test_a_report_is_told_once_however_often_it_is_put_and_flushed(outbox, bot, slack):
    outbox.put(parcel())
    assert not outbox.put(parcel())
    outbox.flush(bot)
    assert not outbox.put(parcel())
    assert outbox.flush(bot).sent == ()
    assert texts(slack) == ["summary 1"]


def test_reports_wait_while_slack_is_down_and_are_told_in_order_once_it_is_back(outbox, clock, tmp_path):
    (port,) = free_ports(1)
    bot = Bot("xoxb-lab", f"http://127.0.0.1:{port}/api/")
    for number in (2, 1, 3):
        outbox.put(parcel(number, details=0, chart=False))
    for _ in range(2):
        delivery = outbox.flush(bot)
        assert next(held.id for held in delivery.held) == "apex-1"
        assert len(delivery.held) == 3
        assert not any(held.alarming for held in delivery.held)
        clock.wait(minutes=15)
    with SlackStandIn(tmp_path / "slack", port) as slack:
        assert outbox.flush(bot).sent == ("apex-1", "apex-2", "apex-3")
        assert texts(slack) == ["summary 1", "summary 2", "summary 3"]


def test_a_bad_token_keeps_the_report_and_alarms(outbox, bot, slack):
    slack.faults.set("invalid_auth")
    outbox.put(parcel())
    (held,) = outbox.flush(bot).held
    assert held.alarming
    assert "invalid_auth" in held.reason
    assert "xoxb-lab" not in held.reason
    slack.faults.set(None)
    assert outbox.flush(bot).sent == ("apex-1",)
    assert texts(slack) == ["summary 1"]


def test_a_channel_that_is_not_there_holds_up_no_other(outbox, tmp_path):
    with SlackStandIn(tmp_path / "few", channels=["#known"]) as slack:
        few = Bot("xoxb-lab", slack.api_url)
        outbox.put(parcel(1, channel="#unknown"))
        outbox.put(parcel(2, channel="#known"))
        delivery = outbox.flush(few)
        assert delivery.sent == ("apex-2",)
        assert [(held.id, held.alarming) for held in delivery.held] == [("apex-1", True)]
        assert "channel_not_found" in delivery.held[0].reason


def test_slack_is_asked_again_after_a_429(outbox, bot, slack):
    slack.faults.set("429", times=1, retry_after=0)
    outbox.put(parcel())
    assert outbox.flush(bot).sent == ("apex-1",)
    assert texts(slack) == ["summary 1"]


def test_a_429_that_asks_for_minutes_is_left_to_the_next_flush(outbox, bot, slack):
    slack.faults.set("429", times=1, retry_after=600)
    outbox.put(parcel())
    (held,) = outbox.flush(bot).held
    assert not held.alarming
    assert outbox.flush(bot).sent == ("apex-1",)


@pytest.mark.parametrize("fault", ["500", "down"])
def test_a_server_error_in_the_middle_is_looked_into_and_sent_again(outbox, bot, slack, fault):
    slack.faults.set(fault, times=1)
    outbox.put(parcel())
    assert outbox.flush(bot).sent == ("apex-1",)
    assert texts(slack) == ["summary 1"]
    assert "conversations.list" in slack.calls  # the channel does not exist yet: nothing to look through


def test_an_answer_that_was_lost_is_found_in_the_history_and_nothing_is_told_twice(outbox, slack):
    outbox.put(parcel())
    bot = LossyBot(slack.api_url, Unclear("lost"), times=4)
    assert outbox.flush(bot).sent == ("apex-1",)
    assert texts(slack) == ["summary 1"]
    assert thread(slack) == ["details 0", "details 1", "apex-1-overview.png"]


@pytest.mark.parametrize("survived", [0, 1, 3])
def test_a_process_that_dies_between_sending_and_noting_it_tells_nothing_twice(outbox, clock, slack, bot, survived):
    outbox.put(parcel())
    dying = LossyBot(slack.api_url, Killed(), times=0)
    calls = iter(range(10))
    dying._lose = lambda: (_ for _ in ()).throw(Killed()) if next(calls) == survived else None
    with pytest.raises(Killed):
        outbox.flush(dying)
    (held,) = outbox.flush(bot).held
    assert held.reason == "another process is telling it"
    clock.wait(minutes=6)
    assert outbox.flush(bot).sent == ("apex-1",)
    assert texts(slack) == ["summary 1"]
    assert thread(slack) == ["details 0", "details 1", "apex-1-overview.png"]


def test_where_the_history_may_not_be_read_a_doubt_is_said_and_the_report_is_not_lost(outbox, slack):
    outbox.put(parcel(details=0, chart=False))
    delivery = outbox.flush(Forgetful(slack.api_url, Unclear("lost"), times=1))
    assert delivery.sent == ("apex-1",)
    assert delivery.notes == ("part 0 of apex-1 may stand twice: missing_scope",)
    assert texts(slack) == ["summary 1", "summary 1"]


def test_later_parts_go_on_where_the_first_flush_ended(outbox, slack, bot):
    outbox.put(parcel())

    class Stops(Bot):
        def upload(self, *_, **__):
            raise Denied("missing_scope")

    (held,) = outbox.flush(Stops("xoxb-lab", slack.api_url)).held
    assert held.alarming
    assert thread(slack) == ["details 0", "details 1"]
    assert outbox.flush(bot).sent == ("apex-1",)
    assert texts(slack) == ["summary 1"]
    assert thread(slack) == ["details 0", "details 1", "apex-1-overview.png"]


def test_a_layout_that_slack_refuses_is_told_as_text(outbox, slack, bot):
    refused = parcel(details=0, chart=False)
    refused = refused.model_copy(update={"summary": Message(text="plain", blocks=(section("x" * 3001),))})
    outbox.put(refused)
    delivery = outbox.flush(bot)
    assert delivery.sent == ("apex-1",)
    assert "Slack refused the layout" in delivery.notes[0]
    assert texts(slack) == ["plain"]


def test_a_webhook_tells_the_summary_and_says_what_it_left_out(outbox, slack):
    outbox.put(parcel())
    delivery = outbox.flush(Webhook(f"{slack.url}/services/T/B/X"))
    assert delivery.sent == ("apex-1",)
    assert delivery.notes == ("a webhook has no threads: the details are in the stored report only",)
    assert texts(slack, "#webhooks") == ["summary 1"]


@pytest.mark.parametrize("fault", ["429", "500", "invalid_auth", "down"])
def test_a_webhook_on_a_bad_day_keeps_the_report(outbox, slack, fault):
    slack.faults.set(fault, retry_after=600)
    outbox.put(parcel())
    (held,) = outbox.flush(Webhook(f"{slack.url}/services/T/B/X")).held
    assert held.alarming == (fault == "invalid_auth")
    assert "services" not in held.reason
    slack.faults.set(None)
    assert outbox.flush(Webhook(f"{slack.url}/services/T/B/X")).sent == ("apex-1",)


def test_two_processes_never_tell_the_same_report(outbox, blobs, clock, bot, slack):
    outbox.put(parcel())
    other = Outbox(blobs, now=clock, pause=lambda _: None)
    told = []

    class Slow(Bot):
        def post(self, *args, **more):
            if not told:
                told.append(other.flush(bot))
            return super().post(*args, **more)

    assert outbox.flush(Slow("xoxb-lab", slack.api_url)).sent == ("apex-1",)
    assert told[0].sent == ()
    assert texts(slack) == ["summary 1"]


def test_a_parcel_that_cannot_be_read_alarms_and_holds_up_no_other(outbox, blobs, bot):
    blobs.put("pending/20260101T000000Z-broken/parcel.json", b"{")
    outbox.put(parcel())
    delivery = outbox.flush(bot)
    assert delivery.sent == ("apex-1",)
    assert [(held.id, held.alarming) for held in delivery.held] == [("20260101T000000Z-broken", True)]


def test_receipts_are_forgotten_after_three_months(clock, bot):
    blobs = MemoryStore()
    outbox = Outbox(blobs, now=clock, pause=lambda _: None)
    outbox.put(parcel(details=0, chart=False))
    outbox.flush(bot)
    assert blobs.list() == [f"sent/{parcel().key}.json"]
    clock.wait(days=91)
    outbox.flush(bot)
    assert blobs.list() == []


def test_a_channel_can_be_named_or_given_by_its_id(bot):
    posted = bot.post("hello", (), channel="#apex-oncall", mark=Mark("apex-1", 0))
    since = NOW - timedelta(minutes=5)
    for channel in ("#apex-oncall", posted.channel):
        assert bot.find(Mark("apex-1", 0), channel=channel, thread=None, since=since) == posted
        assert bot.find(Mark("apex-1", 1), channel=channel, thread=None, since=since) is None
    assert bot.find(Mark("apex-1", 0), channel="#nowhere", thread=None, since=since) is None


def test_a_refused_connection_is_unreachable_and_no_doubt_is_left():
    with pytest.raises(Unreachable):
        Bot("xoxb-lab", "http://127.0.0.1:1/api/").post("x", (), channel="#a", mark=Mark("a", 0))
