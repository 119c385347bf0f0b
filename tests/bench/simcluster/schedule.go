package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// What kube-scheduler would ask of an extender: about pods that begin in the cluster, each over some of its nodes.
type scheduling struct {
	URL     string  // "http://127.0.0.1:8080/v1/prioritize"
	Names   int     // nodes in each question
	Pods    int     // how many pods, at most
	Seconds float64 // for how long, at most
	Clients int     // schedulers at once
	Rate    float64 // pods a second of all together; 0: as fast as answers come
}

type scheduled struct {
	Pods      int     `json:"pods"`
	Failed    int     `json:"failed"`
	Seconds   float64 `json:"seconds"`
	P50Micros float64 `json:"p50_micros"`
	P99Micros float64 `json:"p99_micros"`
	Example   string  `json:"example"` // of an answer, its first bytes
}

// schedule lets pods begin, asks about each, and binds it and lets it run once there is an answer.
func (w *world) schedule(want scheduling) scheduled {
	names := make([]string, min(want.Names, w.nodeCount))
	for i := range names {
		// All regions are among them, whatever the size.
		names[i] = "node-" + decimal(uint64(i)*uint64(w.nodeCount)/uint64(len(names)), 6)
	}
	listed, _ := json.Marshal(names)
	tail := append(append([]byte(`,"Nodes":null,"NodeNames":`), listed...), '}')
	var result scheduled
	var took []time.Duration
	var mutex sync.Mutex
	var begun atomic.Int64
	start := time.Now()
	end := start.Add(time.Duration(want.Seconds * float64(time.Second)))
	var clients sync.WaitGroup
	for range max(want.Clients, 1) {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10, DisableCompression: true}, Timeout: time.Minute}
			var body, answer bytes.Buffer
			for {
				n := begun.Add(1)
				if n > int64(want.Pods) {
					return
				}
				if want.Rate > 0 {
					time.Sleep(time.Until(start.Add(time.Duration(float64(n) / want.Rate * float64(time.Second)))))
				}
				if !time.Now().Before(end) {
					return
				}
				w.mutex.Lock()
				number := w.beginPod()
				w.changed.Broadcast()
				w.mutex.Unlock()
				body.Reset()
				body.WriteString(`{"Pod":`)
				body.Write(w.podJSON(number))
				body.Write(tail)
				asked := time.Now()
				reply, err := client.Post(want.URL, "application/json", bytes.NewReader(body.Bytes()))
				ok := err == nil
				answer.Reset()
				if ok {
					_, err = io.Copy(&answer, reply.Body)
					reply.Body.Close()
					ok = err == nil && reply.StatusCode == 200
				}
				passed := time.Since(asked)
				w.mutex.Lock()
				w.advancePod(number)
				w.advancePod(number)
				w.changed.Broadcast()
				w.mutex.Unlock()
				mutex.Lock()
				result.Pods++
				if ok {
					took = append(took, passed)
					if result.Example == "" {
						result.Example = string(answer.Bytes()[:min(answer.Len(), 200)])
					}
				} else {
					result.Failed++
				}
				mutex.Unlock()
			}
		})
	}
	clients.Wait()
	result.Seconds = time.Since(start).Seconds()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	if len(took) > 0 {
		result.P50Micros = float64(took[len(took)/2].Nanoseconds()) / 1000
		result.P99Micros = float64(took[len(took)*99/100].Nanoseconds()) / 1000
	}
	return result
}

// podJSON is what kube-scheduler sends of a pod, as short as it can be: the same names and requests as the watch tells.
func (w *world) podJSON(number uint64) []byte {
	v := w.podValues(number, "")
	kind := w.podKind(number)
	annotations := `{}`
	if kind == 1 || kind == 6 {
		annotations = `{"sobre.dev/objective":"carbon","sobre.dev/requests-per-second":"25"}`
	}
	return fmt.Appendf(nil, `{"metadata":{"name":"%s-%s","namespace":"team-%s","uid":"%s","annotations":%s,"labels":{"app.kubernetes.io/name":"%s","pod-template-hash":"%s"},`+
		`"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"%s-%s","uid":"%s","controller":true}]},`+
		`"spec":{"schedulerName":"sobre","containers":[{"name":"app","image":"registry.example/app:1","resources":{"requests":{"cpu":"%dm","memory":"256Mi"}}}]}}`,
		workloads[kind], v[1]+"-"+v[0], v[6], v[2], annotations, workloads[kind], v[1], workloads[kind], v[1], v[3], 50*(kind+1))
}
