"""What the usual exporters tell of room, asked of every Prometheus whatever its objectives: disks, memory, replicas.

Metrics are those of node-exporter, the kubelet, cAdvisor, kube-state-metrics (v2), MinIO, redis_exporter,
celery_exporter, RabbitMQ's own plug-in and mongodb_exporter, by their documented names. What an objective of the spec
asks for already is not asked for twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tasks.core.capacity import Threshold
from tasks.core.units import Unit

_REAL = 'fstype!~"tmpfs|overlay|squashfs|ramfs|iso9660"'
_CONTAINER = 'container!="",container!="POD"'
SWARM = "container_label_com_docker_swarm_service_name"
_HPA = "kube_horizontalpodautoscaler"
_BY_HPA = "namespace, horizontalpodautoscaler"
_LABEL, _PORT = re.compile(r"\{(\w+)\}"), re.compile(r":[0-9]+$")


class Told(NamedTuple):
    """One thing that an exporter tells.

    Attributes:
        name: Of the measurement; its subjects are the labels that the query leaves.
        exporter: Who tells it.
        metric: A metric without which there is nothing; an objective that asks for it has this already.
        query: PromQL that answers a series for each subject.
        warn: Share, or number, from which a person should act; None where it is only looked ahead.
        critical: From which it hurts.
        unit: What it is counted in.
        remedy: What to do.
        words: What a person calls it, with the labels of the query in their places.
        share: What a ratio is a share of.
        queues: The kind of system whose queues its subjects are; those of the spec have bounds of their own.
    """

    name: str
    exporter: str
    metric: str
    query: str
    warn: float | None
    critical: float | None
    remedy: str
    words: str
    share: str = ""
    unit: Unit = Unit.RATIO
    queues: str = ""

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Its bounds, all crossed from below."""
        given = ((self.warn, False), (self.critical, True))
        return tuple(
            Threshold(text=f"{value:.0%}" if self.unit is Unit.RATIO else f"{value:g}", value=value, critical=critical)
            for value, critical in given
            if value is not None
        )

    def called(self, labels: Mapping[str, str]) -> str:
        """Name one of its series by its labels: `memory of worker in apex`."""
        if not labels:
            return f"{self.name.replace('_', ' ')} (by {self.exporter})"
        return _LABEL.sub(lambda found: plain_label(found[1], labels.get(found[1], "?")), self.words)


TOLD = (
    Told(
        "disk_used",
        "node-exporter",
        "node_filesystem_avail_bytes",
        f"max by (instance, mountpoint) (1 - node_filesystem_avail_bytes{{{_REAL}}} / node_filesystem_size_bytes)",
        0.85,
        0.95,
        "Find what grows (du -x, logs, images), clean up, or grow the disk.",
        "disk {mountpoint} of {instance}",
        "its size",
    ),
    Told(
        "memory_used",
        "node-exporter",
        "node_memory_MemAvailable_bytes",
        "max by (instance) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
        0.9,
        0.97,
        "Find the process that grows; add memory, or move a service away.",
        "memory of {instance}",
        "what it has",
    ),
    Told(
        "volume_used",
        "the kubelet",
        "kubelet_volume_stats_used_bytes",
        "max by (namespace, persistentvolumeclaim)"
        " (kubelet_volume_stats_used_bytes / kubelet_volume_stats_capacity_bytes)",
        0.8,
        0.95,
        "Clean up, or expand the claim: kubectl patch pvc NAME, where its class allows it.",
        "volume {persistentvolumeclaim} in {namespace}",
        "its size",
    ),
    Told(
        "container_memory",
        "cAdvisor and kube-state-metrics",
        "kube_pod_container_resource_limits",
        f"max by (namespace, container) (container_memory_working_set_bytes{{{_CONTAINER}}}"
        ' / on (namespace, pod, container) group_left () (kube_pod_container_resource_limits{resource="memory"} > 0))',
        0.9,
        1.0,
        "It is killed at 100%: look for a leak since the last rollout, restart it in turn, or raise the limit.",
        "memory of {container} in {namespace}",
        "its limit",
    ),
    Told(
        "container_throttled",
        "cAdvisor",
        "container_cpu_cfs_throttled_periods_total",
        "max by (namespace, container)"
        f" (rate(container_cpu_cfs_throttled_periods_total{{{_CONTAINER}}}[2h])"
        f" / (rate(container_cpu_cfs_periods_total{{{_CONTAINER}}}[2h]) > 0))",
        0.25,
        None,
        "Raise or remove the CPU limit.",
        "throttling of {container} in {namespace}",
        "its time",
    ),
    Told(
        "memory_kills",
        "cAdvisor",
        "container_oom_events_total",
        f"sum by (namespace, container) (increase(container_oom_events_total{{{_CONTAINER}}}[1d]))",
        1.0,
        None,
        "It ran out of memory within a day: raise the limit, or find the leak.",
        "kills of {container} in {namespace} for memory in a day",
        unit=Unit.COUNT,
    ),
    Told(
        "autoscaler_wanted",
        "kube-state-metrics",
        f"{_HPA}_status_target_metric",
        f"max by ({_BY_HPA}) ({_HPA}_status_target_metric{{metric_target_type='utilization'}}"
        f" / {_HPA}_spec_target_metric{{metric_target_type='utilization'}})"
        f" * on ({_BY_HPA}) {_HPA}_status_current_replicas / on ({_BY_HPA}) {_HPA}_spec_max_replicas",
        0.9,
        1.0,
        "The load wants as many replicas as it may make: raise maxReplicas, and see that the nodes hold them.",
        "replicas wanted by autoscaler {horizontalpodautoscaler} in {namespace}",
        "its maximum",
    ),
    Told(
        "service_memory",
        "cAdvisor (Swarm)",
        SWARM,
        f"max by ({SWARM}) (container_memory_working_set_bytes{{{SWARM}!=''}}"
        f" / (container_spec_memory_limit_bytes{{{SWARM}!=''}} > 0))",
        0.9,
        1.0,
        "It is killed at 100%: look for a leak since the last update, update it with --force, or raise the limit.",
        f"memory of service {{{SWARM}}}",
        "its limit",
    ),
    Told(
        "service_cpu",
        "cAdvisor (Swarm)",
        SWARM,
        f"max by ({SWARM}) (rate(container_cpu_usage_seconds_total{{{SWARM}!=''}}[2h])"
        f" / on (id) group_left () (container_spec_cpu_quota{{{SWARM}!=''}} / container_spec_cpu_period > 0))",
        0.9,
        1.0,
        "Its tasks are throttled at 100%: docker service scale, or raise the limit.",
        f"processor time of service {{{SWARM}}}",
        "its limit",
    ),
    Told(
        "bucket_used",
        "MinIO",
        "minio_bucket_quota_total_bytes",
        "max by (bucket) (minio_bucket_usage_total_bytes / (minio_bucket_quota_total_bytes > 0))",
        0.8,
        0.95,
        "Let a lifecycle rule delete or move what is old, or raise the quota.",
        "size of bucket {bucket}",
        "its quota",
    ),
    Told(
        "cache_used",
        "redis_exporter",
        "redis_memory_max_bytes",
        "max by (instance) (redis_memory_used_bytes / (redis_memory_max_bytes > 0))",
        0.85,
        0.97,
        "Let keys expire, or raise maxmemory.",
        "memory of Redis on {instance}",
        "its maxmemory",
    ),
    Told(
        "celery_queue",
        "celery_exporter",
        "celery_queue_length",
        "max by (queue_name) (celery_queue_length)",
        None,
        None,
        "Scale the workers, and see what takes them so long.",
        "jobs that wait in Celery's queue {queue_name}",
        unit=Unit.COUNT,
        queues="queue",
    ),
    Told(
        "redis_queue",
        "redis_exporter (check-single-keys)",
        "redis_key_size",
        "max by (key) (redis_key_size)",
        None,
        None,
        "Scale what works on it, and see what takes it so long.",
        "entries of {key} in Redis",
        unit=Unit.COUNT,
        queues="queue",
    ),
    *(
        Told(
            name,
            "RabbitMQ",
            metric,
            f"max by (vhost, queue) ({metric})",
            None,
            None,
            "Scale its consumers, and see what takes them so long.",
            "messages that wait in queue {queue} of {vhost}",
            unit=Unit.COUNT,
            queues="rabbitmq",
        )
        for name, metric in (
            ("rabbitmq_queue", "rabbitmq_queue_messages_ready"),
            ("rabbitmq_queue_detailed", "rabbitmq_detailed_queue_messages_ready"),
        )
    ),
    Told(
        "rabbitmq_memory",
        "RabbitMQ",
        "rabbitmq_resident_memory_limit_bytes",
        "max by (instance) (rabbitmq_process_resident_memory_bytes / (rabbitmq_resident_memory_limit_bytes > 0))",
        0.8,
        1.0,
        "It blocks publishers at 100%: drain its queues, or give it more memory.",
        "memory of RabbitMQ on {instance}",
        "its watermark",
    ),
    Told(
        "mongodb_disk",
        "mongodb_exporter",
        "mongodb_dbstats_fsTotalSize",
        "max by (instance) (mongodb_dbstats_fsUsedSize / (mongodb_dbstats_fsTotalSize > 0))",
        0.8,
        0.95,
        "Remove or archive what is old, compact, or grow the disk.",
        "disk of MongoDB on {instance}",
        "its size",
    ),
    Told(
        "mongodb_database",
        "mongodb_exporter",
        "mongodb_dbstats_storageSize",
        "max by (database) (mongodb_dbstats_storageSize + mongodb_dbstats_indexSize)",
        None,
        None,
        "",
        "size of database {database} with its indexes",
        unit=Unit.BYTES,
    ),
    Told(
        "mongodb_collection",
        "mongodb_exporter (collstats-colls)",
        "mongodb_collstats_storageStats_storageSize",
        "max by (database, collection) (mongodb_collstats_storageStats_storageSize)",
        None,
        None,
        "",
        "size of collection {database}.{collection}",
        unit=Unit.BYTES,
    ),
    Told(
        "mongodb_indexes",
        "mongodb_exporter (collstats-colls)",
        "mongodb_collstats_storageStats_totalIndexSize",
        "max by (database, collection) (mongodb_collstats_storageStats_totalIndexSize)",
        None,
        None,
        "",
        "size of the indexes of collection {database}.{collection}",
        unit=Unit.BYTES,
    ),
)


def plain_label(name: str, value: str) -> str:
    """Write a label's value as a person says it: an instance without its port."""
    return _PORT.sub("", value) if name == "instance" else value


def untold(queries: Iterable[str]) -> Iterator[Told]:
    """Yield what none of the spec's own queries asks for."""
    own = tuple(queries)
    return (one for one in TOLD if not any(one.metric in query for query in own))
