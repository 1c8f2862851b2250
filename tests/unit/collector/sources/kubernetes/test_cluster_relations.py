"""Whose a pod is, and who else writes a number of replicas, from a view of the cluster."""

import dataclasses

import pytest

from collector.model.cluster import ClusterView, FieldWriter, ObjectReference
from collector.model.cluster_relations import (
    ClaimKind,
    ReplicaClaim,
    owner_chain,
    owners,
    replica_claims,
)
from collector.model.reading import Fresh, Missing, MissingReason, Stale
from collector.sources.kubernetes_api.pods import pod
from collector.sources.kubernetes_api.scalers import autoscaler, scaled_object
from collector.sources.kubernetes_api.serving import inference_service
from collector.sources.kubernetes_api.workloads import deployment, replica_set
from support.kube_objects import named, owned_by

KSERVE = "serving.kserve.io"
CHAT = ObjectReference(group="apps", kind="Deployment", namespace="default", name="chat")
CHAT_FIELDS = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}


def fresh(*objects):
    return Fresh(value=objects, observed_timestamp_seconds=0.0, source="test")


def missing(reason):
    return Missing(reason=reason, source="test")


def view(**kinds):
    empty = {each.name: fresh() for each in dataclasses.fields(ClusterView)}
    return ClusterView(**{**empty, "problems": (), **kinds})


def names(chain):
    return [f"{each.kind} {each.name}" for each in chain]


def test_the_chain_leads_from_the_pod_to_the_service():
    seen = view(
        replica_sets=fresh(
            replica_set(named("chat-1", metadata=owned_by("Deployment", "chat", version="apps/v1")))
        ),
        deployments=fresh(
            deployment(
                named("chat", metadata=owned_by("InferenceService", "llm", version=f"{KSERVE}/v1"))
            )
        ),
        inference_services=fresh(inference_service(named("llm"))),
    )
    found = pod(named("p", metadata=owned_by("ReplicaSet", "chat-1", version="apps/v1")))
    assert names(owner_chain(found, known=owners(seen))) == [
        "ReplicaSet chat-1",
        "Deployment chat",
        "InferenceService llm",
    ]


def test_a_label_tells_where_the_references_end_too_early():
    metadata = {
        **owned_by("StatefulSet", "llm-0", version="apps/v1"),
        "labels": {"leaderworkerset.sigs.k8s.io/name": "llm"},
    }
    found = pod(named("p", metadata=metadata))
    assert names(owner_chain(found, known=owners(view()))) == [
        "StatefulSet llm-0",
        "LeaderWorkerSet llm",
    ]


def test_a_pod_of_nobody_has_no_chain():
    assert owner_chain(pod(named("p")), known={}) == ()


def test_owners_in_a_circle_end():
    one = replica_set(named("one", metadata=owned_by("ReplicaSet", "two", version="apps/v1")))
    two = replica_set(named("two", metadata=owned_by("ReplicaSet", "one", version="apps/v1")))
    found = pod(named("p", metadata=owned_by("ReplicaSet", "one", version="apps/v1")))
    known = owners(view(replica_sets=fresh(one, two)))
    assert names(owner_chain(found, known=known)) == ["ReplicaSet one", "ReplicaSet two"]


def test_all_who_write_the_number_are_told():
    fields = [{"manager": "argocd", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    metadata = {
        **owned_by("InferenceService", "llm", version=f"{KSERVE}/v1beta1"),
        "managedFields": fields,
    }
    seen = view(
        deployments=fresh(deployment(named("chat", metadata=metadata))),
        autoscalers=fresh(
            autoscaler(named("h", spec={"scaleTargetRef": CHAT_FIELDS})),
            autoscaler(named("h", namespace="other", spec={"scaleTargetRef": CHAT_FIELDS})),
        ),
        scaled_objects=fresh(
            scaled_object(
                named(
                    "k",
                    metadata={"annotations": {"autoscaling.keda.sh/paused": "true"}},
                    spec={"scaleTargetRef": {"name": "chat"}},
                )
            )
        ),
    )
    found = replica_claims(seen, CHAT)
    assert found.unseen == ()
    assert found.claims == (
        ReplicaClaim(kind=ClaimKind.AUTOSCALER, name="h"),
        ReplicaClaim(kind=ClaimKind.SCALED_OBJECT, name="k", is_paused=True),
        ReplicaClaim(kind=ClaimKind.OWNER, name="InferenceService llm"),
        ReplicaClaim(kind=ClaimKind.FIELD, name="argocd"),
    )


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        pytest.param(fresh(), (), id="looked"),
        pytest.param(missing(MissingReason.NOT_SUPPORTED), (), id="not-installed"),
        pytest.param(missing(MissingReason.NO_PERMISSION), ("ScaledObject",), id="forbidden"),
        pytest.param(missing(MissingReason.NOT_READ_YET), ("ScaledObject",), id="not-read"),
        pytest.param(
            Stale(value=(), observed_timestamp_seconds=0.0, source="test"),
            ("ScaledObject",),
            id="stale",
        ),
    ],
)
def test_nobody_else_is_only_said_by_who_has_looked(reading, expected):
    seen = view(scaled_objects=reading, deployments=fresh(deployment(named("chat"))))
    assert replica_claims(seen, CHAT).unseen == expected


def test_a_target_that_is_not_seen_may_have_other_writers():
    assert replica_claims(view(), CHAT).unseen == ("Deployment",)


def test_the_writer_of_a_bound_is_told_for_an_inference_service():
    fields = {"f:spec": {"f:predictor": {"f:minReplicas": {}}}}
    metadata = {"managedFields": [{"manager": "kubectl", "fieldsV1": fields}]}
    found = inference_service(named("llm", metadata=metadata))
    assert found.replica_writers == (
        FieldWriter(manager="kubectl", subresource=None, written_timestamp_seconds=None),
    )
