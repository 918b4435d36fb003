"""What a spec says of a Kubernetes cluster, and what can be measured there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from tasks.core.limits import Bound, Catalog, Limit, Measure, Worse, limits_field
from tasks.core.model import Model
from tasks.core.references import Address
from tasks.core.results import Measurement
from tasks.core.system import BackupPlan, ProtectedSpec
from tasks.core.units import Unit

CATALOG = Catalog(
    Measure(
        name="latency",
        words="response time of the API of {system}",
        unit=Unit.SECONDS,
        help="Time of one GET /version, connection included.",
    ),
    Measure(
        name="available",
        words="available replicas of {subject}",
        share="those wanted",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="Available replicas against desired ones of each deployment and stateful set that the spec names; "
        "0 where it is missing or scaled to nothing.",
        limit=Limit(warn=Bound(1, Unit.RATIO), critical=Bound(0.5, Unit.RATIO)),
        remedy="kubectl describe its pods; then kubectl rollout undo, if it came with a rollout.",
    ),
    Measure(
        name="rollout_stuck",
        unit=Unit.YES_NO,
        help="Whether a named deployment says Progressing=False: its rollout went past progressDeadlineSeconds.",
        limit=Limit(critical=Bound(1, Unit.YES_NO)),
        remedy="See why the new pods do not start; kubectl rollout undo brings the old ones back.",
    ),
    Measure(
        name="rollout_running",
        unit=Unit.YES_NO,
        help="Whether a named deployment or stateful set is on its way to a new state, or not yet seen by its "
        "controller.",
    ),
    Measure(
        name="revision",
        words="revision of {subject}",
        unit=Unit.COUNT,
        help="The number of a named deployment's newest revision, as kubectl rollout history counts them.",
    ),
    Measure(
        name="rolled_out",
        words="time since {subject} was rolled out",
        unit=Unit.SECONDS,
        help="How long ago a named deployment last moved on, from its condition Progressing.",
    ),
    Measure(
        name="clock_skew",
        words="clock skew against {system}",
        unit=Unit.SECONDS,
        help="How far this host's clock and the API server's are apart, by the date of its answer. Ages are told by "
        "the server's clock.",
        limit=Limit(warn=Bound(60, Unit.SECONDS)),
        remedy="See that both keep their time by NTP: certificates, tokens and schedules go wrong with it.",
    ),
    Measure(
        name="services_without_endpoints",
        words="services without endpoints in {system}",
        unit=Unit.COUNT,
        help="Services with a selector that have no ready endpoint, those that the spec names aside.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="Compare the service's selector with its pods' labels; then see why the pods are not Ready.",
    ),
    Measure(
        name="endpoints",
        words="ready endpoints of service {subject}",
        unit=Unit.COUNT,
        worse=Worse.BELOW,
        help="Ready endpoints of each service that the spec names, from its EndpointSlices; 0 where it is missing.",
        limit=Limit(critical=Bound(1, Unit.COUNT)),
        remedy="Compare the service's selector with its pods' labels; then see why the pods are not Ready.",
    ),
    Measure(
        name="jobs_failed",
        words="failed jobs in {system}",
        unit=Unit.COUNT,
        help="Jobs that gave up within the last day; of those that a CronJob made, only its newest finished one.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="kubectl describe job and kubectl logs job/NAME; delete it once the cause is mended.",
    ),
    Measure(
        name="missed_runs",
        words="missed runs of {subject}",
        unit=Unit.COUNT,
        help="Times at which a CronJob should have started since it last did, by its schedule and time zone; two "
        "minutes are allowed. A suspended one is skipped.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="kubectl describe cronjob: a run that does not end, a deadline, or a controller that stands still.",
    ),
    Measure(name="suspended", unit=Unit.YES_NO, help="Whether a CronJob is suspended."),
    Measure(
        name="claims_not_bound",
        words="volume claims that are not bound in {system}",
        unit=Unit.COUNT,
        help="PersistentVolumeClaims that are Pending for more than a minute, or Lost.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="kubectl describe pvc: no such storage class, no room, or a volume of another zone.",
    ),
    Measure(
        name="pods",
        words="pods in {system}",
        unit=Unit.COUNT,
        help="Pods of the namespace that should run: not ended, not going.",
    ),
    Measure(
        name="pods_not_ready",
        words="pods that are not ready in {system}",
        unit=Unit.COUNT,
        help="Pods that should run and are not Ready, by condition and waiting reason. Finished Jobs, and pods that "
        "began within the last minute without an error, do not count; one that does not end in time does.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="kubectl describe pod, then kubectl logs --previous.",
    ),
    Measure(
        name="pods_failed",
        words="failed pods in {system}",
        unit=Unit.COUNT,
        help="Pods in phase Failed: evicted ones and Jobs that gave up.",
    ),
    Measure(
        name="restarts",
        words="restarts of containers in {system}",
        unit=Unit.COUNT,
        help="The highest restart count of any container in the namespace.",
    ),
    Measure(
        name="recent_restarts",
        words="restarts of containers within an hour in {system}",
        unit=Unit.COUNT,
        help="Containers that ended and were started again within the last hour.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="kubectl logs --previous; OOMKilled means that the memory limit is too low.",
    ),
    Measure(name="nodes", words="nodes of {system}", unit=Unit.COUNT, help="Nodes of the cluster."),
    Measure(
        name="nodes_ready",
        words="ready nodes of {system}",
        share="all nodes",
        unit=Unit.RATIO,
        worse=Worse.BELOW,
        help="Nodes that are Ready against all nodes.",
        limit=Limit(warn=Bound(1, Unit.RATIO), critical=Bound(0.5, Unit.RATIO)),
        remedy="kubectl describe node; their pods still say Running.",
    ),
    Measure(
        name="nodes_under_pressure",
        words="nodes under pressure in {system}",
        unit=Unit.COUNT,
        help="Nodes that report MemoryPressure, DiskPressure or PIDPressure.",
        limit=Limit(warn=Bound(0, Unit.COUNT)),
        remedy="kubectl describe node: free disk or memory there, or let the node be drained.",
    ),
    Measure(
        name="node_cpu",
        words="processor time of the busiest node of {system}",
        share="what pods may have of it",
        unit=Unit.RATIO,
        help="CPU use of the busiest node against what pods may have of it. Metrics API.",
        limit=Limit(warn=Bound(0.9, Unit.RATIO)),
        remedy="kubectl top pods --all-namespaces --sort-by=cpu; add a node, or move what is heavy.",
    ),
    Measure(
        name="node_memory",
        words="memory of the fullest node of {system}",
        share="what pods may have of it",
        unit=Unit.RATIO,
        help="Memory use of the fullest node against what pods may have of it. Metrics API.",
        limit=Limit(warn=Bound(0.9, Unit.RATIO)),
        remedy="kubectl top pods --all-namespaces --sort-by=memory; pods are evicted when it is full.",
    ),
    Measure(
        name="warnings",
        words="warning events in {system}",
        unit=Unit.COUNT,
        help="Warning events of the namespace within the last hour, by reason; repeated ones count once.",
    ),
    Measure(
        name="hpa_at_ceiling",
        unit=Unit.YES_NO,
        help="Whether an autoscaler runs as many replicas as it may.",
        limit=Limit(warn=Bound(1, Unit.YES_NO)),
        remedy="Raise maxReplicas, or find where the load comes from.",
    ),
    Measure(
        name="hpa_active",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether an autoscaler can compute a replica count (ScalingActive).",
        limit=Limit(warn=Bound(0, Unit.YES_NO)),
        remedy="Without metrics-server, or without CPU requests on every container, it is blind.",
    ),
    Measure(
        name="cpu",
        words="processor time of {subject}",
        share="its limit",
        unit=Unit.RATIO,
        help="CPU use of the pods of each named workload against their limits, or their requests where there is no "
        "limit. Metrics API.",
    ),
    Measure(
        name="memory",
        words="memory of {subject}",
        share="its limit",
        unit=Unit.RATIO,
        help="Memory use of the pods of each named workload against their limits, or their requests where there is "
        "no limit. Metrics API.",
        limit=Limit(warn=Bound(0.9, Unit.RATIO)),
        remedy="At 100% of its limit a container is killed: raise the limit, or find the leak.",
    ),
    Measure(
        name="certificate_ready",
        unit=Unit.YES_NO,
        worse=Worse.BELOW,
        help="Whether each of cert-manager's Certificates that the spec names is there and Ready.",
        limit=Limit(critical=Bound(0, Unit.YES_NO)),
        remedy="kubectl describe certificate, then its CertificateRequest and Order; see the issuer.",
    ),
    Measure(
        name="certificate_expires_in",
        words="time until certificate {subject} expires",
        unit=Unit.SECONDS,
        worse=Worse.BELOW,
        help="How long each named Certificate still lasts, by its status.notAfter.",
        limit=Limit(warn=Bound(21 * 86_400, Unit.SECONDS), critical=Bound(7 * 86_400, Unit.SECONDS)),
        remedy="cert-manager renews by itself: see why it does not; cmctl renew asks it to.",
    ),
    Measure(
        name="cpu_cores",
        words="cores in use by {subject}",
        unit=Unit.COUNT,
        help="CPU cores in use by the pods of each named workload.",
    ),
    Measure(
        name="memory_size",
        words="memory of {subject}",
        unit=Unit.BYTES,
        help="Memory in use by the pods of each named workload.",
    ),
)


class Workload(Model):
    """What a spec says of one deployment, stateful set, service or Certificate."""

    severity: str | None = Field(None, description="The platform's severity when this one is in trouble.")


class Scratch(Model):
    """A cluster in which drills make namespaces of their own."""

    kubeconfig: Address = Field(
        description="Path of a kubeconfig; `{file: path}` and `{secret: block}` give its text.",
    )
    context: str | None = Field(None, description="The kubeconfig's context; its current one by default.")


class Plan(BackupPlan):
    """How a namespace's objects are backed up."""

    resources: Literal["all"] | tuple[str, ...] = Field(
        "all",
        description="`all`, or what of the namespace is taken: `Deployment`, `deployments`, `deployments.apps`. "
        "What is named here and may not be read is an error; of `all`, a warning.",
    )
    exclude: tuple[str, ...] = Field((), description="What of the namespace is not taken, named in the same way.")
    cluster: tuple[str, ...] = Field(
        ("Namespace", "CustomResourceDefinition"),
        description="What is taken from beyond the namespace: `StorageClass`, `ClusterRole/apex-*`. `Namespace` is the "
        "system's own, `CustomResourceDefinition` those of the custom resources that are in the backup.",
    )
    secrets: Literal["encrypted", "omitted"] = Field(
        "encrypted", description="Whether Secrets are in it: never into a vault that does not encrypt."
    )
    scratch: Scratch | None = Field(
        None, description="The cluster for drills; without one every object is tried by a dry run against the live one."
    )

    @field_validator("resources", "exclude", "cluster")
    @classmethod
    def _names_kinds(cls, names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if any(not name.strip() for name in names):
            raise ValueError("a name is empty: write a kind, such as Deployment")
        return names

    def methods(self) -> tuple[str, ...]:
        """Name the ways in which it is taken."""
        return ("manifests",)


class Spec(ProtectedSpec):
    """One namespace of a Kubernetes cluster."""

    CATALOG: ClassVar[Catalog] = CATALOG

    kind: Literal["kubernetes"]
    kubeconfig: Address | None = Field(
        None,
        description="Path of a kubeconfig; `{file: path}` and `{secret: block}` give its text. In-cluster if absent.",
    )
    context: str | None = Field(None, description="The kubeconfig's context; its current one by default.")
    namespace: str = Field(
        "default", description="Where the workloads live.", pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    )
    deployments: dict[str, Workload] = Field(default_factory=dict, description="Deployments that must be there.")
    stateful_sets: dict[str, Workload] = Field(default_factory=dict, description="Stateful sets that must be there.")
    services: dict[str, Workload] = Field(
        default_factory=dict, description="Services that must have a ready endpoint; the others only ought to."
    )
    certificates: dict[str, Workload] = Field(
        default_factory=dict, description="cert-manager's Certificates that must be Ready."
    )
    backup: Plan | None = Field(None, description="How it is backed up; not at all where this is missing.")
    limits: limits_field(CATALOG) = Field(default_factory=dict, description="Bounds on measurements, by name.")  # type: ignore[valid-type]

    def workloads(self) -> dict[str, Workload]:
        """Return what the spec names by the subject under which it is measured: `deployment/api`."""
        named = {f"deployment/{name}": workload for name, workload in self.deployments.items()}
        named |= {f"statefulset/{name}": workload for name, workload in self.stateful_sets.items()}
        named |= {f"service/{name}": service for name, service in self.services.items()}
        return named | {f"certificate/{name}": certificate for name, certificate in self.certificates.items()}

    def limit(self, measurement: Measurement) -> Limit | None:
        """Return what holds; a workload's own severity is that of its critical bounds, where the limit names none."""
        limit = super().limit(measurement)
        workload = self.workloads().get(measurement.subject)
        if limit is None or limit.critical is None or workload is None or workload.severity is None:
            return limit
        if self._has_severity(measurement.name):
            return limit
        return limit.model_copy(update={"severity": workload.severity})

    def _has_severity(self, name: str) -> bool:
        return name in self.limits and self.limits[name].severity is not None

    def severities(self) -> list[tuple[tuple[str, ...], str]]:
        """Name every severity in use, those of the workloads too."""
        own = [
            ((field, name, "severity"), workload.severity)
            for field in ("deployments", "stateful_sets", "services", "certificates")
            for name, workload in getattr(self, field).items()
            if workload.severity is not None
        ]
        return super().severities() + own
