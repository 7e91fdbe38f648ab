"""deploy/kubernetes: every manifest fits Kubernetes' own schemas, and says of our processes what is so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from assay_wsgi.cli.processes.serve import KILL_AFTER_SECS
from assay_wsgi.cli.processes.sidecar import END_SECS
from assay_wsgi.settings import Settings
from tests.deploy.container import Image

MANIFESTS = Path(__file__).parent.parent.parent / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.34")  # a cluster that is old by now, and a new one
FOUND = {
    f"{path.relative_to(MANIFESTS)}:{document['kind']}": document
    for path in sorted(MANIFESTS.rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
}
WORKLOADS = {name: document for name, document in FOUND.items() if document["kind"] in ("Deployment", "Job")}
WEB, SIDECAR, WORKER = (
    FOUND[f"{name}.yaml:Deployment"]["spec"]["template"]["spec"] for name in ("web", "sidecar", "worker")
)


def containers(workload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from workload["spec"]["template"]["spec"]["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FOUND)
def test_it_fits_the_schema(name, version):
    kubernetes_validate.validate(FOUND[name], version, strict=True)


def test_a_manifest_that_does_not_fit_is_found():
    wrong = {**FOUND["web.yaml:Service"], "spec": {"prots": []}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[1], strict=True)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_is_locked_up_and_gets_no_variables_that_the_service_would_refuse(name):
    pod = WORKLOADS[name]["spec"]["template"]["spec"]

    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("name", [name for name in WORKLOADS if "worker" not in name])
def test_our_containers_settings_exist_and_their_user_is_the_image_s(name):
    secret = FOUND["secret.yaml:Secret"]["stringData"]
    for container in containers(WORKLOADS[name]):
        given = {each["name"]: each["value"] for each in container.get("env", [])}
        assert container["envFrom"] == [{"secretRef": {"name": FOUND["secret.yaml:Secret"]["metadata"]["name"]}}]

        settings = Settings.from_env({**Image().environ, **secret, **given})

        assert settings.backend.dialect == "postgres"
    user = WORKLOADS[name]["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert str(user) == Image().user.partition(":")[0]


def test_everybody_is_given_the_time_to_end():
    pause = int(WEB["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])

    assert WEB["terminationGracePeriodSeconds"] > pause + Settings().http.graceful_secs + KILL_AFTER_SECS
    assert SIDECAR["terminationGracePeriodSeconds"] > END_SECS
    args = WORKER["containers"][0]["args"]
    assert WORKER["terminationGracePeriodSeconds"] > int(args[args.index("--grace") + 1])


def test_what_selects_pods_selects_the_right_ones():
    labels = {
        name: FOUND[f"{name}.yaml:Deployment"]["spec"]["template"]["metadata"]["labels"]
        for name in ("web", "sidecar", "worker")
    }

    def selected(by: dict[str, str]) -> set[str]:
        return {name for name, found in labels.items() if by.items() <= found.items()}

    policy = FOUND["networkpolicy.yaml:NetworkPolicy"]["spec"]
    assert selected(FOUND["web.yaml:Service"]["spec"]["selector"]) == {"web"}
    assert selected(policy["podSelector"]["matchLabels"]) == {"web", "sidecar"}
    assert selected(policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]) == {"worker"}
    for name in labels:
        assert selected(FOUND[f"{name}.yaml:Deployment"]["spec"]["selector"]["matchLabels"]) == {name}
    for name in ("web", "sidecar"):
        assert selected(FOUND[f"{name}.yaml:PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]) == {name}


def test_everybody_means_the_same_port():
    service = FOUND["web.yaml:Service"]
    port = service["spec"]["ports"][0]["port"]
    url = next(each["value"] for each in WORKER["containers"][0]["env"] if each["name"] == "ASSAY_ENGINE_URL")

    assert WEB["containers"][0]["ports"] == [{"name": "http", "containerPort": port}]
    assert Settings.from_env(Image().environ).address[1] == port
    assert FOUND["networkpolicy.yaml:NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == port
    assert url == f"http://{service['metadata']['name']}:{port}"
