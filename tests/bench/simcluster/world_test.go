package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// What templates make must be what Kubernetes' own types read.
func TestObjectsAreKubernetes(t *testing.T) {
	w := newWorld(5000, 1000, 50, 1)
	uids := map[string]bool{}
	for number := range uint64(1000) {
		var pod corev1.Pod
		if err := pod.Unmarshal(w.append(nil, pods, number, running, versionText(7))); err != nil {
			t.Fatal(err)
		}
		uids[string(pod.UID)] = true
		if len(pod.Spec.NodeName) != len("node-000000") || pod.ResourceVersion != "100000000007" || pod.Status.Phase != "Running" || pod.Name == "" {
			t.Fatalf("pod %d: %+v", number, pod.ObjectMeta)
		}
		for _, mark := range marks {
			if string(pod.UID) == mark || pod.Status.PodIP == mark || pod.OwnerReferences[0].UID == pod.UID {
				t.Fatalf("pod %d kept %s", number, mark)
			}
		}
	}
	if len(uids) != 1000 {
		t.Fatalf("%d uids of 1000 pods", len(uids))
	}
	var node corev1.Node
	if err := node.Unmarshal(w.append(nil, nodes, 4321, 0, versionText(0))); err != nil || node.Name != "node-004321" ||
		node.Labels["kubernetes.io/hostname"] != node.Name {
		t.Fatalf("%v %+v", err, node.ObjectMeta)
	}
}
