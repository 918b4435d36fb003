"""Login and access logs: each attempt counts once, in its hour, for the one who made it, whatever the lines hold."""

import gzip
import json
import lzma
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.core.logscan.addresses import Proxies, canonical
from tasks.core.logscan.injection import injection
from tasks.core.logscan.scan import Format, Limits, Scan

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
HEAD = "Dec 10 06:55:46 web1 sshd[24200]: "
NGINX = '{ip} - - [10/Oct/2025:13:55:36 +0000] "{request}" {status} 612 "-" "Mozilla/5.0 (X11; Linux x86_64)"'


def scan(*lines, written="auto", now=NOW, year=None, **options):
    made = Scan(Format(written), **options)
    made.read("log", (line if isinstance(line, bytes) else line.encode() for line in lines), now, year)
    return made.result()


def logins(*lines, **options):
    return scan(*lines, **options)["failed_logins"]


def nginx(request="GET / HTTP/1.1", status=200, ip="203.0.113.9", after=""):
    return NGINX.format(ip=ip, request=request, status=status) + after


def test_one_attempt_that_leaves_four_lines_counts_once():
    found = logins(
        HEAD + "Invalid user webmaster from 173.234.31.186 port 38926",
        HEAD + "pam_unix(sshd:auth): check pass; user unknown",
        HEAD
        + "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186 ",
        HEAD + "Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2",
        HEAD + "Connection closed by invalid user webmaster 173.234.31.186 port 38926 [preauth]",
    )
    assert found["by_source"] == {"173.234.31.186": 1}


def test_a_message_that_was_repeated_counts_as_often_as_it_was():
    repeated = "message repeated 5 times: [ Failed password for root from 5.36.59.76 port 42393 ssh2]"
    more = "PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=5.36.59.76.example.net"
    found = logins(
        HEAD + "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
        "rhost=5.36.59.76.example.net  user=root",
        HEAD + "Failed password for root from 5.36.59.76 port 42393 ssh2",
        HEAD + repeated,
        HEAD + "Disconnecting: Too many authentication failures for root [preauth]",
        HEAD + more,
    )
    assert found["by_source"] == {"5.36.59.76": 6}
    assert found["by_hour"] == {"2025-12-10T06:00Z": 6}


def test_the_old_words_for_a_repeated_line_repeat_only_what_stands_before_them():
    failed = HEAD + "Failed password for root from 5.36.59.76 port 42393 ssh2"
    again = "Dec 10 06:55:50 web1 last message repeated 3 times"
    assert logins(failed, again)["total"] == 4
    assert logins(failed, "Dec 10 06:55:49 web1 cron[1]: done", again)["total"] == 1
    assert logins(failed, "Dec 10 06:55:50 web2 last message repeated 3 times")["total"] == 1


@pytest.mark.parametrize(
    ("message", "source"),
    [
        ("Failed password for root from 198.51.100.7 port 22 ssh2", "198.51.100.7"),
        ("Failed keyboard-interactive/pam for invalid user a from 2001:DB8::0:7 port 22 ssh2", "2001:db8::7"),
        ("Failed password for a from ::ffff:198.51.100.7 port 22 ssh2", "198.51.100.7"),
        ("Invalid user  from 198.51.100.7 port 4022", "198.51.100.7"),
        ("Invalid user admin from 198.51.100.7", "198.51.100.7"),
        ("Connection closed by authenticating user root 198.51.100.7 port 22 [preauth]", "198.51.100.7"),
        ("Connection reset by invalid user a b 198.51.100.7 port 22 [preauth]", "198.51.100.7"),
        ("Disconnected from authenticating user root fe80::1%eth0 port 22 [preauth]", "fe80::1"),
        (
            "Disconnecting invalid user x 198.51.100.7 port 22: Too many authentication failures [preauth]",
            "198.51.100.7",
        ),
        (
            "error: maximum authentication attempts exceeded for root from 198.51.100.7 port 22 ssh2 [preauth]",
            "198.51.100.7",
        ),
        ("User root from 198.51.100.7 not allowed because not listed in AllowUsers", "198.51.100.7"),
        ("ROOT LOGIN REFUSED FROM 198.51.100.7 port 22", "198.51.100.7"),
        ("error: PAM: Authentication failure for illegal user x from host.example", "host.example"),
        ("authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4 ", "218.188.2.4"),
    ],
)
def test_every_sort_of_line_alone_is_one_attempt_of_its_source(message, source):
    assert logins(HEAD + message)["by_source"] == {source: 1}


@pytest.mark.parametrize(
    "message",
    [
        "Accepted password for root from 198.51.100.7 port 22 ssh2",
        "Connection closed by 212.47.254.145 [preauth]",
        "Did not receive identification string from 123.235.32.19",
        "Received disconnect from 198.51.100.7 port 22:11: Bye Bye [preauth]",
        "pam_unix(sshd:session): session opened for user root by (uid=0)",
    ],
)
def test_what_is_no_attempt_is_not_counted(message):
    assert logins(HEAD + message)["total"] == 0


def test_keys_that_did_not_fit_before_one_did_are_no_failed_login():
    key = "Failed publickey for deploy from 198.51.100.7 port 22 ssh2: RSA SHA256:abc"
    accepted = "Accepted publickey for deploy from 198.51.100.7 port 22 ssh2: ED25519 SHA256:def"
    assert logins(HEAD + key, HEAD + key)["total"] == 1
    assert logins(HEAD + key, HEAD + key, HEAD + accepted)["total"] == 0


def test_two_modules_of_pam_that_tell_of_one_attempt_count_once():
    line = "pam_{}(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.7 user=bob"
    failed = "Failed password for bob from 198.51.100.7 port 22 ssh2"
    assert logins(HEAD + line.format("unix"), HEAD + line.format("sss"), HEAD + failed)["total"] == 1


@pytest.mark.parametrize(
    "user",
    [
        "root from 1.2.3.4 port 22 ssh2",
        "x from 1.2.3.4 port 22 ssh2: RSA",
        "message repeated 99 times: [ Failed password for root from 1.2.3.4 port 22 ssh2]",
        "Dec 10 06:55:46 web1 sshd[1]: Failed password for root from 1.2.3.4 port 22 ssh2",
        "a rhost=1.2.3.4",
        "1.2.3.4 port 22 [preauth]",
    ],
)
def test_a_name_of_a_user_that_holds_a_log_line_forges_no_source(user):
    found = logins(
        HEAD + f"Invalid user {user} from 198.51.100.7 port 5",
        HEAD + f"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
        f"rhost=198.51.100.7  user={user}",
        HEAD + f"Failed password for invalid user {user} from 198.51.100.7 port 5 ssh2",
        HEAD + f"Connection closed by invalid user {user} 198.51.100.7 port 5 [preauth]",
    )
    assert found["by_source"] == {"198.51.100.7": 1}


def test_other_programs_cannot_speak_for_sshd():
    line = "Dec 10 06:55:46 web1 app[7]: sshd[1]: Failed password for root from 1.2.3.4 port 22 ssh2"
    asked = nginx("GET /Dec 10 06:55:46 web1 sshd[1]: Failed password for root from 1.2.3.4 port 2 ssh2 HTTP/1.1", 404)
    assert logins(line, asked)["total"] == 0


@pytest.mark.parametrize(
    ("stamp", "hour"),
    [
        ("Jan  2 03:04:05 web1 sshd[1]: ", "2026-01-02T03:00Z"),
        ("Jan 12 03:04:05.123456 web1 sshd[1]: ", "2026-01-12T03:00Z"),
        ("2026-01-02T03:04:05.123456+02:00 web1 sshd[1]: ", "2026-01-02T01:00Z"),
        ("2026-01-02T03:04:05+0530 web1 sshd-session[1]: ", "2026-01-01T21:00Z"),
        ("2026-01-02T03:04:05Z web1 /usr/sbin/sshd[1]: ", "2026-01-02T03:00Z"),
        ("Fri 2026-01-02 03:04:05 UTC web1 sshd[1]: ", "2026-01-02T03:00Z"),
        ("<38>Jan  2 03:04:05 web1 sshd[1]: ", "2026-01-02T03:00Z"),
        ("<38>1 2026-01-02T03:04:05.1Z web1 sshd 4711 - - ", "2026-01-02T03:00Z"),
        ("Jan  2 03:04:05 sshd[1]: ", "2026-01-02T03:00Z"),
        ("Jan  2 03:04:05 combo sshd: ", "2026-01-02T03:00Z"),
    ],
)
def test_every_common_head_of_a_line_is_read_with_its_hour(stamp, hour):
    found = logins(stamp + "Failed password for root from 198.51.100.7 port 22 ssh2")
    assert found["by_hour"] == {hour: 1}


def failing(day):
    return f"{day} 23:10:00 web1 sshd[1]: Failed password for root from 198.51.100.7 port 22 ssh2"


def test_years_that_lines_leave_out_roll_over_and_end_before_the_file_was_written():
    found = logins(failing("Nov 30"), failing("Dec 31"), failing("Jan  1"), failing("Dec 31"), failing("Mar 15"))
    assert found["by_hour"] == {
        "2025-11-30T23:00Z": 1,
        "2025-12-31T23:00Z": 2,
        "2026-01-01T23:00Z": 1,
        "2026-03-15T23:00Z": 1,
    }
    assert list(logins(failing("Nov 30"), failing("Feb  1"), failing("Nov 30"))["by_hour"]) == [
        "2024-11-30T23:00Z",
        "2025-02-01T23:00Z",
        "2025-11-30T23:00Z",
    ]
    assert "2024-02-29T23:00Z" in logins(failing("Feb 29"), failing("Mar  1"))["by_hour"]
    assert list(logins(failing("Dec 10"), failing("Jan 10"), year=2017)["by_hour"])[1] == "2018-01-10T23:00Z"


def test_a_clock_that_jumps_back_a_little_starts_no_new_year():
    assert "2026-02-27T23:00Z" in logins(failing("Mar  2"), failing("Feb 27"), failing("Mar  3"))["by_hour"]


def test_times_without_a_zone_are_those_of_the_zone_that_is_given():
    found = logins(failing("Jan  2"), zone=ZoneInfo("Europe/Berlin"))
    assert found["by_hour"] == {"2026-01-02T22:00Z": 1}


def test_more_than_the_limit_is_too_much_and_the_limit_itself_is_fine():
    line = "Failed password for root from 198.51.100.7 port {} ssh2"
    lines = [HEAD.replace("24200", str(n)) + line.format(n) for n in range(51)]
    limits = Limits(by_source=50, an_hour=50)
    assert scan(*lines[:50], limits=limits)["verdict"] == "passed"
    found = scan(*lines, limits=limits)
    assert found["verdict"] == "failed"
    assert found["failed_logins"]["sources_over_limit"] == [
        {"source": "198.51.100.7", "count": 51, "most_in_an_hour": 51}
    ]
    assert found["failed_logins"]["hours_over_limit"] == [{"hour": "2025-12-10T06:00Z", "count": 51}]


def test_a_number_of_a_process_that_is_used_again_is_another_connection():
    one = "Jan  2 03:04:05 web1 sshd[7]: Invalid user a from 198.51.100.7 port 1"
    other = "Jan  2 03:04:09 web1 sshd[7]: Invalid user a from 198.51.100.8 port 2"
    assert logins(one, other)["by_source"] == {"198.51.100.7": 1, "198.51.100.8": 1}


def test_access_logs_tell_refused_logins_and_rate_limits_by_hour():
    found = scan(nginx(status=401), nginx(status=429), nginx(status=429, ip="2001:db8::1"), nginx(status=403))
    assert found["failed_logins"]["by_source"] == {"203.0.113.9": 1}
    assert found["rate_limit_violations"]["by_hour"] == {"2025-10-10T13:00Z": 2}
    assert found["not_understood"] == 0


def test_only_the_word_of_a_trusted_proxy_is_believed_and_read_from_the_right():
    line = nginx(status=401, ip="10.0.0.1", after=' "1.1.1.1, 198.51.100.7, 10.0.0.2"')
    assert logins(line)["by_source"] == {"10.0.0.1": 1}
    assert logins(line, proxies=Proxies(("10.0.0.0/8",)))["by_source"] == {"198.51.100.7": 1}
    stranger = nginx(status=401, ip="192.0.2.1", after=' "1.1.1.1"')
    assert logins(stranger, proxies=Proxies(("10.0.0.0/8",)))["by_source"] == {"192.0.2.1": 1}


def test_a_user_or_a_request_that_holds_an_entry_forges_none():
    user = (
        '198.51.100.7 - 1.2.3.4 - - [01/Jan/2020:00:00:00 +0000] [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" '
        '401 5 "-" "-"'
    )
    request = nginx(r"GET /\x22 429 1 \x22-\x22 \x22-\x22 HTTP/1.1", 401)
    found = scan(user, request)
    assert found["failed_logins"]["by_source"] == {"198.51.100.7": 1, "203.0.113.9": 1}
    assert list(found["failed_logins"]["by_hour"]) == ["2025-10-10T13:00Z"]
    assert found["rate_limit_violations"]["total"] == 0


def test_error_logs_tell_limits_and_wrong_passwords_but_no_forged_client():
    head = "2026/01/02 03:04:05 [error] 12#12: *7 "
    limited = 'limiting requests, excess: 5.5 by zone "one", client: 198.51.100.7, server: a, request: "GET / HTTP/1.1"'
    wrong = 'user "bob": password mismatch, client: 198.51.100.7, server: a, request: "GET / HTTP/1.1", host: "a"'
    forged = (
        'user "x": password mismatch, client: 1.2.3.4, server: b": password mismatch, client: 198.51.100.7, server: a'
    )
    found = scan(head + limited, head + wrong, head + forged)
    assert found["rate_limit_violations"]["by_source"] == {"198.51.100.7": 1}
    assert found["failed_logins"]["by_source"] == {"198.51.100.7": 1, "unknown": 1}


@pytest.mark.parametrize(
    "target",
    [
        "/item?id=1'%20OR%20'1'='1",
        "/item?id=1%2527%2520or%25201%253D1--",
        "/item?id=1+or+1=1",
        "/item?id=-1+UNION+ALL+SELECT+NULL,NULL--",
        "/item?id=1/**/uNiOn/**/sElEcT/**/password/**/from/**/users",
        "/item?id=1%20/*!50000UnIoN*/%20/*!50000SeLeCt*/%201,2",
        "/login?user=admin'--",
        "/login?user=admin%27%20%23",
        "/login?user=%22%20or%20%22%22=%22",
        "/item?id=1;DROP%20TABLE%20users",
        "/item?id=1'%3Bexec%20xp_cmdshell('dir')",
        "/item?id=1%20and%20sleep(5)",
        "/item?id=1'%20waitfor%20delay%20'0:0:5'--",
        "/item?id=1%20AND%20(SELECT%20COUNT(*)%20FROM%20information_schema.tables)>0",
        "/item?id=1'%20order%20by%2010--+",
        "/item?id=extractvalue(1,concat(0x7e,version()))",
        "/item?id=1%u0027%20or%201=1",
        "/item?id=1&#39; or 1=1",
        "/item?id=%EF%BC%87%20or%201=1--",
        r"/item?id=1\x27 or \x271\x27=\x271",
        "/item/1'%20or%201=1%20--",
        "/item?id=(select(0)from(select(sleep(15)))v)",
        "/item?id=or%20true--",
        "/item?id=1%20AND%203*2*1=6%20AND%20000715=000715",
        "/item?id=-1%A0UNION%A0SELECT%A01,2",
        "/item?id=(1)and(1)=(1)",
        "/item?id=-1+UnIoN/*&a=*/SeLeCT/*&a=*/1,2,3",
        "/item?id=x'||'6",
        "/item?id=x'%20AND%20email%20IS%20NULL;%20--",
        "/item?id=drop%20table%20temp%20--",
        "/item?id=%22%20or%20sleep(5)%23",
        "/item?id=1)%20or%20benchmark(10000000,MD5(1))%23",
        "/item?id=1%20and%201=cast((chr(113)||(select%20user))%20as%20numeric)",
        "/item?name[0%20or%201=1]=x&x=')%20or%20('a'='a",
    ],
)
def test_an_injection_is_seen_however_it_is_written(target):
    found = scan(nginx(f"GET {target} HTTP/1.1"))["sql_injection"]
    assert found["by_source"] == {"203.0.113.9": 1}
    assert found["samples"][0]["line"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "/search?q=student+union+select+committee+meeting",
        "/search?q=how+to+drop+a+table+in+mysql",
        "/search?q=rock+%27n%27+roll+or+blues",
        "/search?q=O%27Brien+and+O%27Neill",
        "/search?q=it%27s+1+or+2+items",
        "/filter?f=p71,p56|b1&page=2--3",
        "/%D9%81%DB%8C%D9%84%D8%AA%D8%B1?f=1",
        "/path/select-from-our-menu/order-by-phone",
        "/a.css?v=1.2.3;b=c#frag",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
        "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1; .NET CLR 1.1.4322; InfoPath.1)",
        "/wiki/Rhythm_and_blues_(1940s)?x=100%25&y=50%",
        '/api?filter={"name":"x","size":[1,2]}',
        "/login?password=a'b;c--d",
        "https://www.google.com/search?q=union+select+sql+tutorial&ei=abc",
    ],
)
def test_words_of_sql_in_what_people_write_are_no_injection(text):
    assert injection(text.encode()) is None


def test_json_lines_of_many_makers_are_read():
    found = scan(
        json.dumps({"time": "2026-01-02T03:04:05Z", "remote_addr": "198.51.100.1", "status": 401, "request": "GET /"}),
        json.dumps({"@timestamp": "2026-01-02T03:04:05Z", "source": {"ip": "198.51.100.2"}, "event": {
            "action": "user-login", "outcome": "failure", "category": "authentication"}}),
        json.dumps({"eventid": "cowrie.login.failed", "src_ip": "198.51.100.3", "timestamp": "2026-01-02T03:04:05.1Z"}),
        json.dumps({"ts": 1767323045.5, "ip": "198.51.100.4", "event": "login_failed"}),
        json.dumps({"ts": 1767323045500, "client_ip": "198.51.100.5", "status": "429", "uri": "/a?id=1'+or+1=1--"}),
        json.dumps({"__REALTIME_TIMESTAMP": "1767323045500000", "_PID": "7", "SYSLOG_IDENTIFIER": "sshd",
            "MESSAGE": "Failed password for root from 198.51.100.6 port 22 ssh2"}),
        json.dumps({"ts": 1767323045, "ip": "198.51.100.7", "event": "login_succeeded", "status": 200}),
    )  # fmt: skip
    assert found["failed_logins"]["by_source"] == {f"198.51.100.{n}": 1 for n in (1, 2, 3, 4, 6)}
    assert found["failed_logins"]["by_hour"] == {"2026-01-02T03:00Z": 5}
    assert found["rate_limit_violations"]["by_source"] == {"198.51.100.5": 1}
    assert found["sql_injection"]["by_source"] == {"198.51.100.5": 1}


def test_lines_of_containers_are_taken_out_of_what_their_engine_wrote_around_them():
    docker = {"log": nginx(status=401) + "\n", "stream": "stdout", "time": "2026-01-02T03:04:05.1Z"}
    app = {
        "log": '{"ip": "198.51.100.7", "event": "login_failed"}\n',
        "stream": "stderr",
        "time": "2026-01-02T03:04:05Z",
    }
    cri = "2026-01-02T03:04:05.123456789Z stdout F " + nginx(status=401, ip="198.51.100.8")
    found = logins(json.dumps(docker), json.dumps(app), cri)
    assert found["by_source"] == {"198.51.100.7": 1, "198.51.100.8": 1, "203.0.113.9": 1}
    forged = {"message": HEAD + "Failed password for root from 1.2.3.4 port 22 ssh2", "ip": "198.51.100.9"}
    assert "1.2.3.4" not in logins(json.dumps(forged))["by_source"]


def test_mixed_lines_and_bytes_that_are_no_text_are_told_apart():
    found = scan(
        HEAD.encode() + b"Failed password for invalid user \xff\xfe from 198.51.100.7 port 22 ssh2",
        nginx(status=401),
        '{"status": 401, "ip": "::1"}',
        b"\x00\x01\x02 nothing that is known",
        "{broken json",
        "",
    )
    assert found["failed_logins"]["total"] == 3
    assert found["files"][0]["understood"] == {"sshd": 1, "nginx": 1, "json": 1}
    assert (found["not_understood"], found["files"][0]["first_not_understood"]) == (2, 4)


def test_a_file_of_which_nothing_is_understood_is_not_called_fine():
    assert scan("nothing", "that is known")["verdict"] == "unknown"
    assert scan(nginx(), written="sshd")["verdict"] == "unknown"


def test_addresses_have_one_spelling():
    assert [canonical(text) for text in ("[2001:DB8::1]:443", "::FFFF:10.0.0.1", "10.0.0.1:80", "Host.Example.")] == [
        "2001:db8::1",
        "10.0.0.1",
        "10.0.0.1",
        "host.example",
    ]
    assert canonical("<script>") == "unknown"


def run(*arguments):
    result = CliRunner().invoke(main, ["logs", "scan", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.output)


def test_packed_and_rotated_files_are_scanned_and_a_broken_one_is_told(tmp_path):
    line = (HEAD + "Failed password for root from 198.51.100.7 port 22 ssh2\n").encode()
    plain, packed, other = tmp_path / "auth.log", tmp_path / "auth.log.2.gz", tmp_path / "auth.log.3.xz"
    plain.write_bytes(line)
    packed.write_bytes(gzip.compress(line))
    other.write_bytes(lzma.compress(line))
    broken, missing = tmp_path / "auth.log.4.gz", tmp_path / "gone"
    broken.write_bytes(gzip.compress(line * 5000)[:-20])
    code, found = run(plain, packed, other, plain)
    assert (code, found["failed_logins"]["total"]) == (0, 3)
    code, found = run(plain, broken, missing)
    assert code == 1
    assert [bool(file["problem"]) for file in found["files"]] == [False, True, True]
    assert run(missing)[0] == 2


def test_a_line_longer_than_any_log_writes_is_told_and_forges_nothing(tmp_path):
    forged = b" from 1.2.3.4 port 22 ssh2"
    long = HEAD.encode() + b"Failed password for invalid user " + b"x" * 3_000_000 + forged + b"x" * 400_000
    path = tmp_path / "auth.log"
    path.write_bytes(long + b"\n" + HEAD.encode() + b"Failed password for root from 198.51.100.7 port 22 ssh2\n")
    _, found = run(path)
    assert found["failed_logins"]["by_source"] == {"198.51.100.7": 1}
    assert found["files"][0]["too_long"] == 1


@pytest.mark.parametrize("arguments", [("--trusted-proxy", "nonsense"), ("--timezone", "Mars/Olympus")])
def test_a_wrong_option_is_told_with_what_is_wrong(tmp_path, arguments):
    path = tmp_path / "log"
    path.write_text("x\n")
    code, found = run(path, *arguments)
    assert code == 2
    assert arguments[1] in found["error"]
