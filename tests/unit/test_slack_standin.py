"""The stand-in is held against the real client library and Slack's documented answers."""

import json
import os
import signal
import subprocess
import sys
import time
from http.client import RemoteDisconnected

import httpx
import pytest
from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.models.blocks import ActionsBlock, ButtonElement, ContextBlock, DividerBlock, HeaderBlock, SectionBlock

from deployments.lab.servers import free_ports
from deployments.lab.slack import SlackStandIn
from deployments.lab.slack.mrkdwn import mrkdwn, plain


@pytest.fixture
def slack(tmp_path):
    with SlackStandIn(tmp_path) as stand_in:
        yield stand_in


@pytest.fixture
def client(slack):
    return WebClient(token="xoxb-lab", base_url=slack.api_url, timeout=5)


def refusal(call, **arguments):
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response


def section(text="x", **more):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(text="x", **more):
    return {"type": "button", "text": {"type": "plain_text", "text": text}, **more}


def page(slack, path="/"):
    answer = httpx.get(slack.url + path, follow_redirects=True, timeout=5)
    return answer.raise_for_status().text


def test_a_bot_learns_who_it_is(client):
    who = client.auth_test()
    assert who["ok"]
    assert who["bot_id"].startswith("B")
    assert who["team"] == "Watchkeeper Lab"


def test_a_message_comes_back_in_the_history_with_its_metadata_when_asked_for(client):
    metadata = {"event_type": "report", "event_payload": {"id": "apex-1"}}
    posted = client.chat_postMessage(channel="#ops", text="hi", metadata=metadata)
    bare = client.conversations_history(channel=posted["channel"])["messages"]
    full = client.conversations_history(channel=posted["channel"], include_all_metadata=True)["messages"]
    assert [message["text"] for message in bare] == ["hi"]
    assert "metadata" not in bare[0]
    assert full[0]["metadata"] == metadata
    assert full[0]["ts"] == posted["ts"]


def test_replies_stay_in_their_thread_and_the_parent_counts_them(client):
    parent = client.chat_postMessage(channel="#ops", text="report")
    channel, ts = parent["channel"], parent["ts"]
    for text in ("first", "second"):
        client.chat_postMessage(channel=channel, text=text, thread_ts=ts)
    top = client.conversations_history(channel=channel)["messages"]
    thread = client.conversations_replies(channel=channel, ts=ts)["messages"]
    assert [(message["text"], message["reply_count"]) for message in top] == [("report", 2)]
    assert [message["text"] for message in thread] == ["report", "first", "second"]


def test_a_reply_to_nothing_is_refused(client):
    answer = refusal(client.chat_postMessage, channel="#ops", text="x", thread_ts="1.000001")
    assert answer["error"] == "thread_not_found"


def test_long_histories_come_in_pages(client):
    for number in range(5):
        channel = client.chat_postMessage(channel="#ops", text=str(number))["channel"]
    seen, cursor = [], None
    while cursor != "":
        answer = client.conversations_history(channel=channel, limit=2, cursor=cursor)
        seen += [message["text"] for message in answer["messages"]]
        cursor = answer["response_metadata"]["next_cursor"]
        assert answer["has_more"] == bool(cursor)
    assert seen == ["4", "3", "2", "1", "0"]


def test_oldest_and_latest_bound_the_history(client):
    posts = [client.chat_postMessage(channel="#ops", text=str(number)) for number in range(3)]
    channel, middle = posts[0]["channel"], posts[1]["ts"]
    after = client.conversations_history(channel=channel, oldest=middle)["messages"]
    until = client.conversations_history(channel=channel, latest=middle, inclusive=True)["messages"]
    assert [message["text"] for message in after] == ["2"]
    assert [message["text"] for message in until] == ["1", "0"]


def test_an_update_needs_the_channels_id_and_drops_blocks_that_only_text_replaces(client):
    posted = client.chat_postMessage(channel="#ops", text="running", blocks=[section("running")])
    assert refusal(client.chat_update, channel="#ops", ts=posted["ts"], text="x")["error"] == "channel_not_found"
    changed = client.chat_update(channel=posted["channel"], ts=posted["ts"], text="done")
    message = client.conversations_history(channel=posted["channel"])["messages"][0]
    assert changed["ts"] == posted["ts"]
    assert message["text"] == "done"
    assert "blocks" not in message
    assert message["edited"]["ts"] > posted["ts"]


def test_an_update_of_nothing_and_one_that_is_too_long_are_refused(client):
    posted = client.chat_postMessage(channel="#ops", text="x")
    lost = refusal(client.chat_update, channel=posted["channel"], ts="1.000001", text="x")
    long = refusal(client.chat_update, channel=posted["channel"], ts=posted["ts"], text="x" * 4001)
    assert lost["error"] == "message_not_found"
    assert long["error"] == "msg_too_long"


def test_a_permalink_leads_to_the_message_on_the_page(client, slack):
    posted = client.chat_postMessage(channel="#ops", text="find me")
    link = client.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"])["permalink"]
    assert link.startswith(f"{slack.url}/archives/{posted['channel']}/p")
    assert "find me" in page(slack, link.removeprefix(slack.url))


def test_a_file_is_uploaded_into_a_thread_with_the_librarys_three_calls(client, slack):
    parent = client.chat_postMessage(channel="#ops", text="report")
    sent = client.files_upload_v2(
        channel=parent["channel"], thread_ts=parent["ts"], filename="report.txt", content="all green", title="Report"
    )
    reply = client.conversations_replies(channel=parent["channel"], ts=parent["ts"])["messages"][1]
    about = client.files_info(file=sent["file"]["id"])["file"]
    assert reply["files"][0]["id"] == sent["file"]["id"]
    assert (about["title"], about["size"], about["mimetype"]) == ("Report", 9, "text/plain")
    assert page(slack, about["url_private"].removeprefix(slack.url)) == "all green"


def test_a_file_sent_as_a_form_arrives_too(client, slack):
    begun = client.files_getUploadURLExternal(filename="a.bin", length=4)
    sent = httpx.post(begun["upload_url"], files={"file": ("a.bin", b"\x00\x01\xfe\xff")}, timeout=5)
    assert sent.text == "OK - 4"
    assert slack.state.path(begun["file_id"]).read_bytes() == b"\x00\x01\xfe\xff"


def test_a_file_goes_to_a_channels_id_never_to_its_name(client):
    client.chat_postMessage(channel="#ops", text="x")
    answer = refusal(client.files_upload_v2, channel="#ops", filename="a.txt", content="x")
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] input must match regex pattern: ^[CGDZ][A-Z0-9]{8,}$ [json-pointer:/channel_id]"
    ]


def test_a_file_that_was_never_sent_cannot_be_completed(client):
    begun = client.files_getUploadURLExternal(filename="a.txt", length=4)
    answer = refusal(client.files_completeUploadExternal, files=[{"id": begun["file_id"], "title": "a"}])
    assert answer["error"] == "file_not_found"


def test_a_reaction_is_added_once(client):
    posted = client.chat_postMessage(channel="#ops", text="x")
    where = {"channel": posted["channel"], "timestamp": posted["ts"]}
    client.reactions_add(name="eyes", **where)
    assert refusal(client.reactions_add, name="eyes", **where)["error"] == "already_reacted"
    assert client.conversations_history(channel=posted["channel"])["messages"][0]["reactions"][0]["name"] == "eyes"


def test_channels_appear_by_first_use_and_are_listed(client):
    client.chat_postMessage(channel="#ops", text="x")
    client.chat_postMessage(channel="#incidents", text="x")
    assert [channel["name"] for channel in client.conversations_list()["channels"]] == ["incidents", "ops"]


def test_with_a_list_of_channels_no_other_exists(tmp_path):
    with SlackStandIn(tmp_path, channels=["#ops"]) as slack:
        client = WebClient(token="xoxb-lab", base_url=slack.api_url)
        assert client.chat_postMessage(channel="ops", text="x")["ok"]
        assert refusal(client.chat_postMessage, channel="#oops", text="x")["error"] == "channel_not_found"
        assert refusal(client.conversations_history, channel="C0NOWHERE0")["error"] == "channel_not_found"


@pytest.mark.parametrize(
    ("token", "error"), [("", "not_authed"), ("nonsense", "invalid_auth"), ("xoxb-old", "invalid_auth")]
)
def test_only_the_right_token_is_let_in(tmp_path, token, error):
    with SlackStandIn(tmp_path, tokens=["xoxb-right"]) as slack:
        assert WebClient(token="xoxb-right", base_url=slack.api_url).auth_test()["ok"]
        assert refusal(WebClient(token=token, base_url=slack.api_url).auth_test)["error"] == error


def test_an_unknown_method_is_said_to_be_one(client):
    assert refusal(client.api_call, api_method="chat.shout")["error"] == "unknown_method"


TOO_MUCH = [
    (
        [{"type": "divider"}] * 51,
        ["no more than 50 items allowed [json-pointer:/blocks]"],
    ),
    (
        [section("x" * 3001)],
        [
            "failed to match all allowed schemas [json-pointer:/blocks/0/text]",
            "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
        ],
    ),
    (
        [section("")],
        [
            "failed to match all allowed schemas [json-pointer:/blocks/0/text]",
            "must be more than 0 characters [json-pointer:/blocks/0/text/text]",
        ],
    ),
    ([{"type": "section"}], ["missing required field: text [json-pointer:/blocks/0]"]),
    (
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
        ["no more than 10 items allowed [json-pointer:/blocks/0/fields]"],
    ),
    (
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}],
        [
            "failed to match all allowed schemas [json-pointer:/blocks/0/fields/0]",
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
        ],
    ),
    (
        [{"type": "divider"}, {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [
            "failed to match all allowed schemas [json-pointer:/blocks/1/text]",
            "must be less than 151 characters [json-pointer:/blocks/1/text/text]",
        ],
    ),
    (
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [
            "failed to match all allowed schemas [json-pointer:/blocks/0/text]",
            "must be a valid enum value [json-pointer:/blocks/0/text/type]",
        ],
    ),
    (
        [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
        ["no more than 10 items allowed [json-pointer:/blocks/0/elements]"],
    ),
    (
        [{"type": "actions", "elements": [button(action_id=str(number)) for number in range(26)]}],
        ["no more than 25 items allowed [json-pointer:/blocks/0/elements]"],
    ),
    (
        [{"type": "actions", "elements": [button("x" * 76)]}],
        [
            "failed to match all allowed schemas [json-pointer:/blocks/0/elements/0/text]",
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ],
    ),
    (
        [{"type": "actions", "elements": [button(url="http://" + "h" * 3000)]}],
        ["must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]"],
    ),
    (
        [{"type": "image", "image_url": "https://example.com/a.png"}],
        ["missing required field: alt_text [json-pointer:/blocks/0]"],
    ),
    ([{"type": "banner"}], ["unsupported type: banner [json-pointer:/blocks/0/type]"]),
    ([section(colour="red")], ["invalid additional property: colour [json-pointer:/blocks/0]"]),
    (
        [section(block_id="a"), section(block_id="a")],
        ["must be unique: block_id [json-pointer:/blocks/1/block_id]"],
    ),
    ([{"type": "table", "rows": [[]] * 101}], None),
]


@pytest.mark.parametrize(("blocks", "messages"), TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_blocks_beyond_a_limit_are_refused_with_slacks_words(client, slack, blocks, messages):
    answer = refusal(client.chat_postMessage, channel="#ops", text="x", blocks=blocks)
    assert answer["error"] == "invalid_blocks"
    if messages is not None:
        assert answer["errors"] == messages
        assert answer["response_metadata"]["messages"] == [f"[ERROR] {message}" for message in messages]
    assert slack.messages("#ops") == []


def test_blocks_at_every_limit_are_taken(client, slack):
    blocks = [
        SectionBlock(text="x" * 3000).to_dict(),
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 200}] * 10},
        HeaderBlock(text="x" * 150).to_dict(),
        ContextBlock(elements=[{"type": "mrkdwn", "text": "x"}] * 10).to_dict(),
        ActionsBlock(elements=[ButtonElement(text="x" * 75, action_id=str(number)) for number in range(25)]).to_dict(),
        *[DividerBlock().to_dict()] * 45,
    ]
    client.chat_postMessage(channel="#ops", text="x" * 40_000, blocks=blocks)
    assert len(slack.messages("#ops")[0]["blocks"]) == 50


def test_a_message_without_content_or_with_too_much_is_refused(client):
    long = [section("x" * 3000)] * 5
    assert refusal(client.api_call, api_method="chat.postMessage", json={"channel": "#ops"})["error"] == "no_text"
    assert refusal(client.chat_postMessage, channel="#ops", text="x" * 40_001)["error"] == "msg_too_long"
    assert refusal(client.chat_postMessage, channel="#ops", text="x", blocks=long)["error"] == "msg_blocks_too_long"


def test_attachments_are_held_to_their_limits_too(client):
    many = [{"text": "x", "fallback": "x"}] * 101
    bad = [{"fallback": "x", "blocks": [section("x" * 3001)]}]
    assert refusal(client.chat_postMessage, channel="#ops", attachments=many, text="x")["error"] == (
        "too_many_attachments"
    )
    answer = refusal(client.chat_postMessage, channel="#ops", attachments=bad, text="x")
    assert "json-pointer:/attachments/0/blocks/0/text" in answer["errors"][0]


def test_a_webhook_delivers_and_refuses_as_slack_does(slack):
    webhook = WebhookClient(f"{slack.url}/services/T0/B0/secret")
    assert webhook.send(text="hello").body == "ok"
    empty = webhook.send(text="")
    wrong = webhook.send(text="x", blocks=[section("x" * 3001)])
    assert (empty.status_code, empty.body) == (400, "no_text")
    assert (wrong.status_code, wrong.body) == (400, "invalid_blocks")
    assert [message["text"] for message in slack.messages("#webhooks")] == ["hello"]


def test_an_unknown_webhook_and_a_broken_payload_are_told_apart(tmp_path):
    path = "/services/T0/B0/secret"
    with SlackStandIn(tmp_path, webhooks={path: "#ops"}) as slack:
        lost = WebhookClient(f"{slack.url}/services/T0/B0/other").send(text="x")
        known = WebhookClient(slack.url + path)
        broken = known.send_dict({"text": 7})
        assert known.send(text="x").status_code == 200
    assert (lost.status_code, lost.body) == (404, "no_service")
    assert broken.status_code == 400


def test_with_a_list_of_channels_any_webhook_speaks_in_the_first(tmp_path):
    with SlackStandIn(tmp_path, channels=["#apex-oncall", "#other"]) as slack:
        assert WebhookClient(f"{slack.url}/services/T0/B0/x").send(text="hello").status_code == 200
        assert slack.messages("#apex-oncall")[0]["text"] == "hello"


def fault(slack, **wanted):
    answer = httpx.post(f"{slack.url}/faults", json=wanted, timeout=5)
    return answer.raise_for_status().json()


def test_429_says_when_to_come_back_and_the_librarys_handler_obeys(client, slack):
    fault(slack, fault="429", times=1, retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="#ops", text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    client.retry_handlers.append(RateLimitErrorRetryHandler(max_retry_count=1))
    fault(slack, fault="429", times=1, retry_after=0)
    assert client.chat_postMessage(channel="#ops", text="x")["ok"]
    assert slack.calls.count("chat.postMessage") == 3


def test_500_invalid_auth_and_down_come_on_demand_and_go_after_so_many_calls(client, slack):
    fault(slack, fault="500", times=1)
    assert refusal(client.auth_test).status_code == 500
    fault(slack, fault="invalid_auth", times=1)
    assert refusal(client.auth_test)["error"] == "invalid_auth"
    # slack_sdk tries once more by itself when the connection is cut.
    fault(slack, fault="down", times=2)
    with pytest.raises(RemoteDisconnected):
        client.auth_test()
    assert client.auth_test()["ok"]


def test_a_fault_without_a_number_lasts_until_it_is_mended(client, slack):
    fault(slack, fault="invalid_auth")
    webhook = WebhookClient(f"{slack.url}/services/T0/B0/x")
    assert refusal(client.auth_test)["error"] == "invalid_auth"
    assert webhook.send(text="x").status_code == 403
    assert fault(slack, fault=None)["fault"] is None
    assert client.auth_test()["ok"]


def test_an_unknown_fault_is_answered_with_those_that_there_are(slack):
    answer = httpx.post(f"{slack.url}/faults", json={"fault": "flood"}, timeout=5)
    assert answer.status_code == 400
    assert "invalid_auth" in answer.json()["error"]


def test_messages_and_files_outlive_a_restart_and_a_line_cut_short(tmp_path):
    with SlackStandIn(tmp_path) as slack:
        client = WebClient(token="xoxb-lab", base_url=slack.api_url)
        posted = client.chat_postMessage(channel="#ops", text="before")
        client.files_upload_v2(channel=posted["channel"], thread_ts=posted["ts"], filename="a.txt", content="kept")
    with (tmp_path / "messages.jsonl").open("a") as journal:
        journal.write('{"name": "ops", "mess')
    for _ in range(2):
        with SlackStandIn(tmp_path) as slack:
            client = WebClient(token="xoxb-lab", base_url=slack.api_url)
            again = client.chat_postMessage(channel="#ops", text="after")
            assert again["ts"] > posted["ts"]
            assert slack.messages("#ops")[0]["text"] == "before"
            assert slack.replies("#ops", posted["ts"])[0]["files"][0]["name"] == "a.txt"
    assert [message["text"] for message in slack.messages("#ops")] == ["before", "after", "after"]


def test_the_process_serves_its_configuration_and_ends_at_once(tmp_path):
    (port,) = free_ports(1)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"port": port, "state": str(tmp_path / "state"), "tokens": ["xoxb-lab"]}))
    process = subprocess.Popen([sys.executable, "-m", "deployments.lab.slack", "--config", str(config)])  # noqa: S603 - ours
    try:
        client = WebClient(token="xoxb-lab", base_url=f"http://127.0.0.1:{port}/api/")
        deadline = time.monotonic() + 60
        while True:
            try:
                assert client.chat_postMessage(channel="#ops", text="x")["ok"]
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)


def test_the_page_shows_every_kind_of_block_and_its_threads(client, slack):
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": ":red_circle: Two failed"}},
        section("*bold* and `code`"),
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Observed*\n97 %"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "06:00 UTC"}]},
        {"type": "divider"},
        {"type": "actions", "elements": [button("Open", url="https://example.com/r", style="primary")]},
        {"type": "markdown", "text": "| a | b |\n|--|--|\n| 1 | 2 |"},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "cell"}]]},
        {"type": "image", "image_url": "https://example.com/far.png", "alt_text": "far away"},
    ]
    attachments = [{"color": "danger", "text": "remedy", "footer": "runbook"}]
    posted = client.chat_postMessage(channel="#ops", text="fallback", blocks=blocks, attachments=attachments)
    for number in range(3):
        client.chat_postMessage(channel=posted["channel"], thread_ts=posted["ts"], text=f"reply {number}")
    client.files_upload_v2(channel=posted["channel"], filename="a.png", content=b"\x89PNG", title="Chart")
    html = page(slack)
    for shown in (
        "# ops",
        'aria-label=":red_circle:"',
        "<b>bold</b> and <code>code</code>",
        "<b>Observed</b><br>97 %",
        '<a class="button primary" href="https://example.com/r"',
        "<td>cell</td>",
        "far away",
        "border-color: #e01e5a",
        "3 replies",
        "reply 2",
        'alt="Chart"',
    ):
        assert shown in html
    assert "https://example.com/far.png" not in html
    assert "fallback" not in html


def test_the_page_asks_nothing_of_other_places_and_lets_no_message_run_a_script(client, slack):
    hostile = "<script>alert(1)</script> <javascript:alert(1)|click> \"'><img src=x onerror=alert(1)>"
    attachment = {
        "text": hostile,
        "fallback": "x",
        "title": hostile,
        "title_link": "javascript:alert(1)",
        "color": '"><script>',
    }
    client.chat_postMessage(
        channel="#ops", text=hostile, blocks=[section(hostile)], attachments=[attachment], username=hostile
    )
    answer = httpx.get(slack.url, timeout=5)
    html, policy = answer.text, answer.headers["Content-Security-Policy"]
    assert html.count("<script") == 1
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert "default-src 'none'" in policy


def test_the_pages_version_rises_with_each_change(client, slack):
    before = page(slack, "/version")
    client.chat_postMessage(channel="#ops", text="x")
    assert int(page(slack, "/version")) > int(before)
    assert "<html" not in page(slack, "/?fragment=1")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*b* _i_ ~s~", "<b>b</b> <i>i</i> <s>s</s>"),
        ("a*b*c 2 * 3 * 4 snake_case_name", "a*b*c 2 * 3 * 4 snake_case_name"),
        ("&lt;b&gt; &amp;amp; a & b", "&lt;b&gt; &amp;amp; a &amp; b"),
        ("`*no* &lt;b&gt;`", "<code>*no* &lt;b&gt;</code>"),
        ("```\nx *y*\n```", "<pre>x *y*</pre>"),
        ("&gt; said\n&gt; twice\nafter", "<blockquote>said<br>twice</blockquote>after"),
        ("*<https://a.b/c_d_e|see *this*>*", None),
        ("<#C1> <!here> <@U1>", '<span class="mention">#ops</span>'),
        (":white_check_mark: :no_such_emoji: 10:30:45", ":no_such_emoji: 10:30:45"),
        ("❌ ⚠️ down", '<svg class="emoji" viewBox="0 0 20 20" role="img" aria-label=":warning:">'),
        ("<!date^1700000000^{date}|Nov 14>", "Nov 14"),
        ("see https://a.b/c?d=1&amp;e=2.", 'href="https://a.b/c?d=1&amp;e=2"'),
    ],
)
def test_mrkdwn_reads_as_in_slack(text, html):
    shown = mrkdwn(text, {"C1": "ops"})
    if html is None:
        assert shown.startswith('<b><a href="https://a.b/c_d_e"')
    else:
        assert html in shown


def test_plain_text_knows_emoji_and_nothing_else():
    assert plain("*a* <b>\n:x:").startswith("*a* &lt;b&gt;<br><svg")
