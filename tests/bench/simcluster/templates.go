package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Objects are made from templates: each is marshalled once by Kubernetes' own types, with marks of a fixed width
// where an object's own values stand, which are overwritten in a copy of the bytes.
const (
	markSeq      = "~pod-no"                              // a pod's number, base 36
	markHash     = "~rs-hash1"                            // of its ReplicaSet
	markUID      = "~uid-~uid-~uid-~uid-~uid-~uid-~uid-~" // of the object
	markOwnerUID = "~own-~own-~own-~own-~own-~own-~own-~"
	markVersion  = "~version~~~~"
	markNode     = "~node~"
	markSpace    = "~ns~"
	markIP       = "~pod-ip-address"
	markHostIP   = "~node-ip-addres"
)

var marks = []string{markSeq, markHash, markUID, markOwnerUID, markVersion, markNode, markSpace, markIP, markHostIP}

type patch struct{ mark, at int }

type template struct {
	object  marshaler
	bytes   []byte
	patches []patch
}

type marshaler interface {
	Marshal() ([]byte, error)
	Size() int
	MarshalToSizedBuffer([]byte) (int, error)
}

func newTemplate(object marshaler) template {
	raw, err := object.Marshal()
	if err != nil {
		panic(err)
	}
	t := template{object: object, bytes: raw}
	for m, mark := range marks {
		for from := 0; ; {
			found := bytes.Index(raw[from:], []byte(mark))
			if found < 0 {
				break
			}
			t.patches = append(t.patches, patch{m, from + found})
			from += found + len(mark)
		}
	}
	return t
}

// values are an object's own, by mark.
type values [9]string

// encode does again for each object what kube-apiserver does: it encodes it.
func (t *template) appendTo(out []byte, v *values, encode bool) []byte {
	start := len(out)
	out = append(out, t.bytes...)
	if encode {
		if n, err := t.object.MarshalToSizedBuffer(out[start : start+t.object.Size()]); err != nil || n != len(t.bytes) {
			panic("an object's size changed")
		}
	}
	for _, p := range t.patches {
		copy(out[start+p.at:], v[p.mark])
	}
	return out
}

func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB
	return x ^ (x >> 31)
}

const digits36 = "0123456789abcdefghijklmnopqrstuvwxyz"

func base36(x uint64, width int) string {
	var b [16]byte
	for i := width - 1; i >= 0; i-- {
		b[i] = digits36[x%36]
		x /= 36
	}
	return string(b[:width])
}

func uid(x uint64) string {
	const hex = "0123456789abcdef"
	b := make([]byte, len(markUID))
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	b[14], b[19] = '4', 'a'
	bits := [2]uint64{mix(x), mix(x + 1)}
	for i, n := 0, 0; i < len(b); i++ {
		if i == 8 || i == 13 || i == 14 || i == 18 || i == 19 || i == 23 {
			continue
		}
		b[i] = hex[bits[n/16]>>(n%16*4)&15]
		n++
	}
	return string(b)
}

func decimal(x uint64, width int) string {
	var b [16]byte
	for i := width - 1; i >= 0; i-- {
		b[i] = '0' + byte(x%10)
		x /= 10
	}
	return string(b[:width])
}

// Fifteen characters, whatever the number.
func ip(first string, x uint64) string {
	return first + "." + decimal(100+x/24336%156, 3) + "." + decimal(100+x/156%156, 3) + "." + decimal(100+x%156, 3)
}

type place struct {
	region, zone, providerID, kind string
	cpu, memoryGi                  int
	gpu                            string
}

var places = []place{
	{"fr-par", "fr-par-1", "scaleway://instance/fr-par-1/", "PRO2-M", 16, 64, ""},
	{"fr-par", "fr-par-2", "scaleway://instance/fr-par-2/", "PRO2-S", 8, 32, ""},
	{"pl-waw", "pl-waw-1", "scaleway://instance/pl-waw-1/", "GP1-M", 16, 64, ""},
	{"eu-central-1", "eu-central-1a", "aws:///eu-central-1a/i-", "m6i.4xlarge", 16, 64, ""},
	{"eu-central-1", "eu-central-1b", "aws:///eu-central-1b/i-", "c6g.4xlarge", 16, 32, ""},
	{"eu-north-1", "eu-north-1a", "aws:///eu-north-1a/i-", "m6i.8xlarge", 32, 128, ""},
	{"eu-west-3", "eu-west-3c", "aws:///eu-west-3c/i-", "r6i.2xlarge", 8, 64, ""},
	{"eu-west-1", "eu-west-1a", "aws:///eu-west-1a/i-", "g5.4xlarge", 16, 64, "NVIDIA-A10G"},
	{"europe-west1", "europe-west1-b", "gce://bench/europe-west1-b/gke-", "e2-standard-16", 16, 64, ""},
	{"europe-north1", "europe-north1-a", "gce://bench/europe-north1-a/gke-", "n2-standard-8", 8, 32, ""},
	{"europe-west9", "europe-west9-a", "gce://bench/europe-west9-a/gke-", "a2-highgpu-1g", 12, 85, "NVIDIA-A100-SXM4-40GB"},
	{"westeurope", "westeurope-1", "azure:///subscriptions/0/vm-", "Standard_D16s_v5", 16, 64, ""},
	{"francecentral", "francecentral-1", "azure:///subscriptions/0/vm-", "Standard_E8s_v5", 8, 64, ""},
	{"gra", "gra-a", "ovhcloud://instance/", "b3-64", 16, 64, ""},
	{"sbg", "sbg-a", "ovhcloud://instance/", "r3-64", 8, 64, ""},
	{"swedencentral", "swedencentral-1", "azure:///subscriptions/0/vm-", "Standard_F16s_v2", 16, 32, ""},
}

var day = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func managed(manager, sub string, bytes int) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(day)
	var b strings.Builder
	b.WriteString(`{"f:metadata":{"f:annotations":{".":{},"f:volumes.kubernetes.io/controller-managed-attach-detach":{}},"f:labels":{".":{}`)
	for i := 0; b.Len() < bytes; i++ {
		fmt.Fprintf(&b, `,"f:field.example/%s-%03d":{".":{},"f:value":{}}`, manager, i)
	}
	b.WriteString(`}}}`)
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &at,
		FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(b.String())}, Subresource: sub}
}

func nodeTemplate(p place) *corev1.Node {
	name := "node-" + markNode
	amounts := corev1.ResourceList{
		"cpu": resource.MustParse(fmt.Sprint(p.cpu)), "memory": resource.MustParse(fmt.Sprintf("%dKi", p.memoryGi<<20-123456)),
		"pods": resource.MustParse("250"), "ephemeral-storage": resource.MustParse("95551679124"),
		"hugepages-1Gi": resource.MustParse("0"), "hugepages-2Mi": resource.MustParse("0")}
	labels := map[string]string{
		"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
		"beta.kubernetes.io/instance-type": p.kind, "node.kubernetes.io/instance-type": p.kind, "kubernetes.io/hostname": name,
		"topology.kubernetes.io/region": p.region, "topology.kubernetes.io/zone": p.zone,
		"failure-domain.beta.kubernetes.io/region": p.region, "failure-domain.beta.kubernetes.io/zone": p.zone,
		"karpenter.sh/nodepool": "general-" + p.region, "karpenter.sh/capacity-type": "on-demand",
		"karpenter.k8s.aws/instance-family": "general", "karpenter.k8s.aws/instance-generation": "6", "karpenter.k8s.aws/instance-size": "large",
		"node.example/team-pool": "shared", "node.example/kernel": "6.1", "node.example/rack": "r-01", "node.example/image": "debian-12"}
	if p.gpu != "" {
		amounts["nvidia.com/gpu"] = resource.MustParse("1")
		labels["nvidia.com/gpu.product"] = p.gpu
	}
	at := metav1.NewTime(day)
	condition := func(kind, status, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: corev1.NodeConditionType(kind), Status: corev1.ConditionStatus(status), LastHeartbeatTime: at,
			LastTransitionTime: at, Reason: reason, Message: message}
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(markUID), ResourceVersion: markVersion, CreationTimestamp: at, Labels: labels,
			Annotations: map[string]string{
				"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
				"csi.volume.kubernetes.io/nodeid": `{"csi.example":"` + name + `"}`, "projectcalico.org/IPv4Address": markHostIP + "/20"},
			Finalizers:    []string{"karpenter.sh/termination"},
			ManagedFields: []metav1.ManagedFieldsEntry{managed("kubelet", "", 900), managed("kubelet", "status", 900), managed("cloud-controller-manager", "", 500)}},
		Spec: corev1.NodeSpec{PodCIDR: "10.128.1.0/24", PodCIDRs: []string{"10.128.1.0/24"}, ProviderID: p.providerID + markNode},
		Status: corev1.NodeStatus{Capacity: amounts, Allocatable: amounts,
			Conditions: []corev1.NodeCondition{
				condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
				condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
				condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
				condition("NetworkUnavailable", "False", "CalicoIsUp", "Calico is running on this node"),
				condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")},
			Addresses:       []corev1.NodeAddress{{Type: "InternalIP", Address: markHostIP}, {Type: "Hostname", Address: name}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
			NodeInfo: corev1.NodeSystemInfo{MachineID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", SystemUUID: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
				BootID: "c3d2e1f0-8796-a5b4-6978-0f1e2d3c4b5a", KernelVersion: "6.1.0-28-cloud-amd64", OSImage: "Debian GNU/Linux 12 (bookworm)",
				ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: "v1.36.3", OperatingSystem: "linux", Architecture: "amd64"}}}
	for i := 0; i < 16; i++ {
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{SizeBytes: int64(50+i) << 20, Names: []string{
			fmt.Sprintf("registry.example/platform/component-%02d@sha256:%064x", i, mix(uint64(i))), fmt.Sprintf("registry.example/platform/component-%02d:v1.%d.0", i, i)}})
	}
	return node
}

type podState uint8

const (
	pending podState = iota
	bound
	running
	podStates
)

// What kinds of pods there are: of a Deployment, with a sidecar, of a Job, of a DaemonSet.
const podKinds = 8

var workloads = [podKinds]string{"frontend", "checkout-api", "search-indexer", "batch-transform", "node-agent", "cart-cache", "ml-inference", "report-writer"}

func podTemplate(kind int, state podState) *corev1.Pod {
	workload := workloads[kind]
	owner, controller := "ReplicaSet", true
	name, ownerName := workload+"-"+markHash+"-"+markSeq, workload+"-"+markHash
	switch kind {
	case 3:
		owner, name, ownerName = "Job", workload+"-"+markHash+"-"+markSeq, workload+"-"+markHash
	case 4:
		owner, name, ownerName = "DaemonSet", workload+"-"+markSeq, workload
	}
	at := metav1.NewTime(day.Add(time.Duration(kind) * 27 * time.Hour))
	annotations := map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "checksum/config": strings.Repeat("0123456789abcdef", 4),
		"kubectl.kubernetes.io/restartedAt": "2026-11-01T00:00:00Z", "cni.projectcalico.org/podIP": markIP + "/32"}
	if kind == 1 || kind == 6 {
		annotations["sobre.dev/objective"] = "carbon"
		annotations["sobre.dev/requests-per-second"] = "25"
	}
	labels := map[string]string{"app.kubernetes.io/name": workload, "app.kubernetes.io/instance": workload, "app.kubernetes.io/version": "1.2.3",
		"app.kubernetes.io/component": "server", "app.kubernetes.io/part-of": "shop", "app.kubernetes.io/managed-by": "Helm", "team": "team-" + markSpace}
	if owner == "ReplicaSet" {
		labels["pod-template-hash"] = markHash
	}
	mode, seconds, one := int32(420), int64(3607), int64(30)
	container := func(i int) corev1.Container {
		probe := func(path string) *corev1.Probe {
			return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http"), Scheme: "HTTP"}},
				InitialDelaySeconds: 5, TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
		}
		c := corev1.Container{Name: fmt.Sprintf("%s-%d", workload, i), Image: "registry.example/shop/" + workload + ":1.2.3",
			Args:          []string{"--listen=:8080", "--log-format=json", "--config=/etc/config/config.yaml", "--upstream=backend.shop.svc.cluster.local:8080"},
			Ports:         []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: "TCP"}, {Name: "metrics", ContainerPort: 9090, Protocol: "TCP"}},
			Resources:     corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(fmt.Sprintf("%dm", 50*(kind+1))), "memory": resource.MustParse("256Mi")}, Limits: corev1.ResourceList{"memory": resource.MustParse("512Mi")}},
			VolumeMounts:  []corev1.VolumeMount{{Name: "config", MountPath: "/etc/config", ReadOnly: true}, {Name: "kube-api-access-x7k2p", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}},
			LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/readyz"),
			TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: "File", ImagePullPolicy: "IfNotPresent"}
		for e := 0; e < 8; e++ {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_NUMBER_%d", e), Value: fmt.Sprintf("value-of-setting-%d", e)})
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}})
		return c
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, GenerateName: strings.TrimSuffix(name, markSeq), Namespace: "team-" + markSpace, UID: types.UID(markUID), ResourceVersion: markVersion,
			CreationTimestamp: at, Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: owner, Name: ownerName, UID: types.UID(markOwnerUID), Controller: &controller, BlockOwnerDeletion: &controller}},
			ManagedFields:   []metav1.ManagedFieldsEntry{managed("kube-controller-manager", "", 1100)}},
		Spec: corev1.PodSpec{
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: workload}, DefaultMode: &mode}}},
				{Name: "kube-api-access-x7k2p", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: &mode, Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}}}}}}},
			Containers: []corev1.Container{container(0)}, RestartPolicy: "Always", TerminationGracePeriodSeconds: &one, DNSPolicy: "ClusterFirst",
			ServiceAccountName: workload, DeprecatedServiceAccount: workload, SecurityContext: &corev1.PodSecurityContext{}, SchedulerName: "default-scheduler",
			PreemptionPolicy: (*corev1.PreemptionPolicy)(ptr("PreemptLowerPriority")), EnableServiceLinks: &controller,
			Tolerations: []corev1.Toleration{{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &one}, {Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &one}}},
		Status: corev1.PodStatus{Phase: "Pending", QOSClass: "Burstable"}}
	if kind%3 == 1 {
		pod.Spec.Containers = append(pod.Spec.Containers, container(1))
	}
	if kind == 2 {
		pod.Spec.NodeSelector = map[string]string{"kubernetes.io/arch": "amd64"}
	}
	if kind == 4 {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Operator: "Exists"})
	}
	if kind == 1 {
		pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: "ScheduleAnyway",
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": workload}}}}
	}
	if state == pending {
		return pod
	}
	condition := func(kind, status string) corev1.PodCondition {
		return corev1.PodCondition{Type: corev1.PodConditionType(kind), Status: corev1.ConditionStatus(status), LastTransitionTime: at}
	}
	pod.Spec.NodeName = "node-" + markNode
	pod.Status.Conditions = []corev1.PodCondition{condition("PodScheduled", "True")}
	if state == bound {
		return pod
	}
	pod.Status.Phase = "Running"
	pod.Status.Conditions = []corev1.PodCondition{condition("PodReadyToStartContainers", "True"), condition("Initialized", "True"), condition("Ready", "True"), condition("ContainersReady", "True"), condition("PodScheduled", "True")}
	pod.Status.HostIP, pod.Status.PodIP = markHostIP, markIP
	pod.Status.HostIPs, pod.Status.PodIPs = []corev1.HostIP{{IP: markHostIP}}, []corev1.PodIP{{IP: markIP}}
	pod.Status.StartTime = &at
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Ready: true, Image: c.Image, Started: &controller,
			ImageID: fmt.Sprintf("registry.example/shop/%s@sha256:%064x", workload, mix(uint64(kind))), ContainerID: fmt.Sprintf("containerd://%064x", mix(uint64(kind)+9)),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}})
	}
	pod.ManagedFields = append(pod.ManagedFields, managed("kubelet", "status", 700))
	return pod
}

func ptr(s string) *string { return &s }

func namespaceTemplate(says bool) *corev1.Namespace {
	name := "team-" + markSpace
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(markUID), ResourceVersion: markVersion, CreationTimestamp: metav1.NewTime(day),
		Labels: map[string]string{"kubernetes.io/metadata.name": name, "team": name}, ManagedFields: []metav1.ManagedFieldsEntry{managed("kubectl", "", 300)}},
		Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}, Status: corev1.NamespaceStatus{Phase: "Active"}}
	if says {
		space.Annotations = map[string]string{"sobre.dev/objective": "carbon", "sobre.dev/cost-tolerance": "10%"}
	}
	return space
}

func appendBytesField(out []byte, field int, length int) []byte {
	out = append(out, byte(field<<3|2))
	return binary.AppendUvarint(out, uint64(length))
}

func varintSize(x int) int {
	n := 1
	for x >= 0x80 {
		x >>= 7
		n++
	}
	return n
}
