"""Controls over manifests: each fault is found with its line, a good manifest has none, and nothing is passed over."""

import json

import pytest
from click.testing import CliRunner

from deployments.cli import main
from tasks.control_runs import judge_manifests
from tasks.controls import about, controls
from tasks.controls.kubernetes.cases import a_pod, good_pod, of
from tasks.core.control import Breach, Control, Judgement, Result, Severity, settle

KUBERNETES = about("kubernetes")
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec:\n  containers:\n    - name: app\n"


def judged(name, facts):
    return settle(controls()[f"kubernetes-{name}"], facts)


def what(name, facts):
    return [breach.what for breach in judged(name, facts).breaches]


def run(*arguments):
    result = CliRunner().invoke(main, ["controls", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.output)


def judge(folder, **files):
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return judge_manifests(folder)


@pytest.mark.parametrize("control", controls().values(), ids=lambda control: control.id)
def test_every_control_goes_red_on_its_bad_case_and_says_where_and_what_to_do(control):
    found = settle(control, control.bad())
    assert found.result is Result.FAIL
    assert all(finding["what"] and finding["remedy"] for finding in found.findings())
    assert control.proves
    assert any(control.requirements.values())


@pytest.mark.parametrize("control", controls().values(), ids=lambda control: control.id)
def test_every_control_is_green_on_its_good_case(control):
    assert settle(control, control.good()).result in (Result.PASS, Result.ATTESTED, Result.NOT_APPLICABLE)


@pytest.mark.parametrize("control", KUBERNETES, ids=lambda control: control.id)
def test_a_pod_that_is_good_breaks_no_control(control):
    assert settle(control, good_pod()).breaches == ()


@pytest.mark.parametrize("control", KUBERNETES, ids=lambda control: control.id)
def test_a_control_over_nothing_is_not_applicable_rather_than_passed(control):
    assert settle(control, of("# nothing\n")).result is Result.NOT_APPLICABLE


def never(_facts):
    return Judgement(looked=1)


def always(_facts):
    return Judgement(looked=1, breaches=[Breach("bad")])


def stumbling(_facts):
    raise KeyError("x")


@pytest.mark.parametrize(("judge", "word"), [(never, "bad case"), (always, "good case"), (stumbling, "stumbled")])
def test_a_control_that_cannot_tell_bad_from_good_is_an_error_and_never_a_pass(judge, word):
    control = Control("x", "x", "x", "x", Severity.LOW, "x", {}, judge, lambda: 1, lambda: 2)
    found = settle(control, 3)
    assert found.result is Result.ERROR
    assert word in found.reason


def test_ids_are_unique_and_every_file_of_a_control_is_found():
    assert len(KUBERNETES) >= 24
    assert all(control.id.startswith("kubernetes-") for control in KUBERNETES)


WRAPPED = {
    "Deployment": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {template: {spec: %s}}\n",
    "StatefulSet": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x}\nspec: {template: {spec: %s}}\n",
    "DaemonSet": "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: x}\nspec: {template: {spec: %s}}\n",
    "ReplicaSet": "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: x}\nspec: {template: {spec: %s}}\n",
    "Job": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\nspec: {template: {spec: %s}}\n",
    "CronJob": "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: x}\n"
    "spec: {jobTemplate: {spec: {template: {spec: %s}}}}\n",
    "Pod": "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: %s\n",
    "Rollout": "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: x}\nspec: {template: {spec: %s}}\n",
}


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("sort", ["containers", "initContainers", "ephemeralContainers"])
def test_containers_of_every_sort_in_every_workload_are_judged(kind, sort):
    bad = "{name: bad, image: 'a:1', securityContext: {privileged: true}}"
    good = "{name: good, image: 'a:1'}"
    spec = f"{{containers: [{good}], {sort}: [{bad}]}}" if sort != "containers" else f"{{containers: [{good}, {bad}]}}"
    found = judged("privileged", of(WRAPPED[kind] % spec)).findings()
    assert [(one["container"], one["resource"]["kind"], one["line"]) for one in found] == [("bad", kind, 4)]


def test_lists_and_many_documents_are_taken_apart_and_lines_are_those_of_the_file():
    text = f"# first\n---\n{POD}      image: nginx\n---\napiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n"
    text += "    kind: Pod\n    metadata: {name: q}\n    spec:\n      containers:\n        - name: b\n"
    text += "          image: x:latest\n"
    found = judged("image-tag", of(text)).findings()
    assert [(one["resource"]["name"], one["line"]) for one in found] == [("p", 9), ("q", 20)]


@pytest.mark.parametrize(
    ("image", "bad"),
    [
        ("nginx", True),
        ("nginx:latest", True),
        ("registry.example:5000/nginx", True),
        ("nginx:1.25", False),
        ("registry.example:5000/nginx:1.25", False),
        ("nginx@sha256:" + "0" * 64, False),
        ("nginx:latest@sha256:" + "0" * 64, False),
    ],
)
def test_an_image_without_a_lasting_tag_is_told(image, bad):
    assert bool(what("image-tag", of(f"{POD}      image: {image}\n"))) is bad


@pytest.mark.parametrize(
    ("spec", "container", "bad"),
    [
        ("", "", True),
        ("securityContext: {runAsNonRoot: true}", "", False),
        ("securityContext: {runAsUser: 1000}", "", False),
        ("securityContext: {runAsNonRoot: true}", "securityContext: {runAsUser: 0}", True),
        ("securityContext: {runAsUser: 0}", "securityContext: {runAsUser: 7}", False),
        ("securityContext: {runAsNonRoot: true}", "securityContext: {runAsNonRoot: false}", True),
        ("nodeSelector: {kubernetes.io/os: windows}", "", False),
    ],
)
def test_what_a_container_says_of_its_user_goes_before_what_its_pod_says(spec, container, bad):
    assert bool(what("run-as-root", a_pod(spec, container)())) is bad


@pytest.mark.parametrize(
    ("variable", "bad"),
    [
        ("{name: DB_PASSWORD, value: hunter2}", True),
        ("{name: dbPassword, value: hunter2}", True),
        ("{name: DATABASE_URL, value: 'postgres://u:hunter2@db/x'}", True),
        ("{name: AWS, value: AKIAABCDEFGHIJKLMNOP}", True),
        ("{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: a, key: b}}}", False),
        ("{name: DB_PASSWORD, value: $(OTHER)}", False),
        ("{name: DB_PASSWORD_FILE, value: /run/secrets/db}", False),
        ("{name: TOKEN_LIFETIME, value: '3600'}", False),
        ("{name: DATABASE_URL, value: 'postgres://db/x'}", False),
        ("{name: DATABASE_URL, value: 'postgres://u:$(PASSWORD)@db/x'}", False),
    ],
)
def test_secrets_in_the_environment_are_told_without_being_shown(variable, bad):
    found = what("secrets-in-environment", a_pod(container=f"env: [{variable}]")())
    assert bool(found) is bad
    assert "hunter2" not in str(found)


def test_a_default_account_that_withholds_its_token_is_fine():
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: shop}\n"
    account += "automountServiceAccountToken: false\n"
    pod = f"{POD}      image: a:1\n"
    assert what("default-service-account", of(pod))
    assert what("default-service-account", of(f"{pod}---\n{account}")) == []


def test_a_policy_must_select_the_pod_and_lie_in_its_namespace():
    policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, namespace: %s}\n"
    policy += "spec: {podSelector: {matchLabels: %s}}\n"
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: {app: a}}\n"
    pod += "spec: {containers: [{name: c, image: 'a:1'}]}\n---\n"
    assert what("network-policy", of(pod + policy % ("shop", "{app: a}"))) == []
    assert "selects" in what("network-policy", of(pod + policy % ("shop", "{app: b}")))[0]
    assert "no NetworkPolicy" in what("network-policy", of(pod + policy % ("other", "{app: a}")))[0]


def test_probes_are_asked_of_what_runs_on_and_not_of_jobs():
    spec = "{containers: [{name: c, image: 'a:1'}], initContainers: [{name: i, image: 'a:1'}]}"
    assert len(what("probes", of(WRAPPED["Deployment"] % spec))) == 1
    assert what("probes", of(WRAPPED["Job"] % spec)) == []
    assert what("probes", of(WRAPPED["CronJob"] % spec)) == []


def test_a_broken_document_is_told_with_its_line_and_costs_no_other(tmp_path):
    found = judge(tmp_path, a=f"{POD}      image: nginx\n---\nkind: [\n---\n{POD}      image: redis\n")
    assert [(one["why"], one["file"]) for one in found["not_judged"]] == [("broken", "a.yaml")]
    assert 8 < found["not_judged"][0]["line"] <= 12
    assert found["summary"]["resources"] == 2


def test_templates_are_told_by_file_and_what_can_be_judged_is(tmp_path):
    broken = (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n{{- if .Values.x }}\nspec: {}\n{{- end }}\n"
    )
    quoted = f'{POD}      image: "{{{{ .Values.image }}}}"\n      securityContext: {{privileged: true}}\n'
    rules = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\ndata: {rule: 'on {{ $labels.instance }}'}\n"
    found = judge(tmp_path, chart__broken=broken, chart__quoted=quoted, rules=rules)
    assert [(one["file"], one["why"]) for one in found["not_judged"]] == [
        ("chart/broken.yaml", "template"),
        ("chart/quoted.yaml", "template"),
    ]
    assert "kubernetes-privileged" in {one["control"] for one in found["findings"]}


def test_a_repository_that_could_not_be_judged_whole_is_not_called_fine(tmp_path):
    good = good_text()
    assert judge(tmp_path, good=good)["verdict"] == "passed"
    assert judge(tmp_path, values="replicas: 3\n")["verdict"] == "passed"
    assert judge(tmp_path, broken="a: [\n")["verdict"] == "unknown"
    (tmp_path / "none").mkdir()
    assert judge_manifests(tmp_path / "none")["verdict"] == "unknown"


def good_text():
    from tasks.controls.kubernetes import cases  # noqa: PLC0415 - its text alone

    policy = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
    return f"{cases._GOOD_POD}{policy}spec: {{podSelector: {{}}}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "- " * 100_000,
        "a: &a [*a]\n",
        "{a: " * 5_000,
        "kind: Pod\napiVersion: v1\nspec: [1]\n",
        "kind: Pod\napiVersion: v1\nspec: {containers: {a: 1}}\n",
        "kind: Pod\napiVersion: v1\nmetadata: 7\nspec: {containers: [1, null, {name: x, env: 5, ports: [7]}]}\n",
        "kind: Role\napiVersion: rbac.authorization.k8s.io/v1\nrules: [{verbs: '*', resources: null}]\n",
        "kind: Service\napiVersion: v1\nspec: null\n",
        "kind: List\napiVersion: v1\nitems: [null, 7, {kind: Pod}]\n",
        "? [a]\n: b\n",
        "a: !!python/object:os.system x\n",
        "x: 2026-99-99\n",
        "kind: Deployment\napiVersion: apps/v1\nspec: {template: {spec: {containers: [{securityContext: 'x'}]}}}\n",
    ],
)
def test_strange_documents_are_judged_or_told_and_break_nothing(text):
    facts = of(text)
    assert facts.unread or facts.resources
    assert Result.ERROR not in {settle(control, facts).result for control in KUBERNETES}


def test_aliases_and_merges_are_followed_without_growing():
    bomb = "a: &a [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1 or ''}, *a{n - 1 or ''}]\n" for n in range(1, 60))
    assert of(bomb).unread[0].why == "no manifest"
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nx-a: &a {privileged: true}\n"
    text += "spec: {containers: [{name: c, image: 'a:1', securityContext: {<<: *a}}]}\n"
    assert what("privileged", of(text))


def test_the_command_tells_findings_as_json_and_by_its_exit_code(tmp_path):
    (tmp_path / "a.yaml").write_text(f"{POD}      image: nginx\n", encoding="utf-8")
    code, found = run("run", "kubernetes", "--manifests", tmp_path)
    assert code == 1
    image = next(one for one in found["findings"] if one["control"] == "kubernetes-image-tag")
    assert image["resource"] == {"kind": "Pod", "namespace": "shop", "name": "p"}
    assert (image["container"], image["file"], image["line"]) == ("app", "a.yaml", 7)
    assert image["severity"] == "medium"
    assert run("run", "kubernetes", "--manifests", tmp_path / "gone")[0] == 2
    assert len(run("list")[1]) == len(controls())
    assert run("show", "kubernetes-privileged")[1]["requirements"]["CIS Kubernetes"] == ["5.2.2"]
    assert run("show", "nonsense")[0] == 2
