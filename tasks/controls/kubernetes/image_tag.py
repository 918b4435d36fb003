"""Every image is named by a tag that stays, or by its digest."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.controls.kubernetes.cases import control, of
from tasks.controls.kubernetes.reading import Manifests
from tasks.controls.kubernetes.resources import Container, over_containers
from tasks.core.control import Judgement, Severity

_BAD = """
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec: {containers: [{name: app, image: "registry.example:5000/app"}]}
"""


def _check(container: Container) -> Iterator[tuple[str, int]]:
    image = str(container.data.get("image") or "")
    if "@sha256:" in image or "{{" in image or (not image and container.sort == "container" and not container.data):
        return
    tag = image.rpartition("/")[2].partition(":")[2]
    if not image:
        yield "names no image", container.line("image")
    elif not tag:
        yield f"its image {image} has no tag, which means latest", container.line("image")
    elif tag == "latest":
        yield f"its image {image} is whatever is latest", container.line("image")


def judge(facts: Manifests) -> Judgement:
    """Judge every container."""
    return over_containers(facts.resources, _check)


CONTROL = control(
    "image-tag",
    "Every image has a tag that stays",
    proves="No manifest names an image without a tag, or as latest.",
    severity=Severity.MEDIUM,
    remedy="Name a version, or better the digest (`@sha256:...`).",
    cis=("5.5.1",),
    judge=judge,
    bad=lambda: of(_BAD),
    also={"ISO 27001:2022": ("A.8.9", "A.8.32")},
)
