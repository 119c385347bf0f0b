package main

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type kind uint8

const (
	nodes kind = iota
	namespaces
	pods
	kinds
)

var kindNames = [kinds]string{"Node", "Namespace", "Pod"}
var paths = map[string]kind{"/api/v1/nodes": nodes, "/api/v1/namespaces": namespaces, "/api/v1/pods": pods}

type eventType uint8

const (
	added eventType = iota
	modified
	deleted
)

var eventNames = [3]string{"ADDED", "MODIFIED", "DELETED"}

// One change of one object: enough to make its bytes again.
type event struct {
	number uint32
	kind   kind
	what   eventType
	state  podState
}

const (
	firstVersion = 100_000_000_000 // so that all have twelve digits
	keptEvents   = 1 << 22
)

// world is the cluster: objects are numbers, and their state is what the log of changes says last. The pods that there are
// have the numbers [low, high); the oldest ends where a new one begins.
type world struct {
	nodeCount, spaceCount int
	seed                  uint64
	encode                bool
	nodeTemplates         []template
	podTemplates          [podKinds][podStates]template
	spaceTemplates        [2]template

	mutex     sync.Mutex
	changed   *sync.Cond
	log       []event
	dropped   uint64 // events that are no longer kept, from the first on
	low, high uint64
	young     map[uint64]podState // pods that do not run yet
	sent      atomic.Uint64
	watchers  atomic.Int64
	listed    atomic.Uint64 // bytes
	podRate   atomic.Int64  // a second
	heartbeat atomic.Int64  // node statuses a second
}

func newWorld(nodeCount, podCount, spaceCount int, seed uint64) *world {
	w := &world{nodeCount: nodeCount, spaceCount: spaceCount, seed: seed, high: uint64(podCount), young: map[uint64]podState{}}
	w.changed = sync.NewCond(&w.mutex)
	for _, p := range places {
		w.nodeTemplates = append(w.nodeTemplates, newTemplate(nodeTemplate(p)))
	}
	for k := range podKinds {
		for s := range podStates {
			w.podTemplates[k][s] = newTemplate(podTemplate(k, s))
		}
	}
	w.spaceTemplates = [2]template{newTemplate(namespaceTemplate(false)), newTemplate(namespaceTemplate(true))}
	return w
}

func versionText(version uint64) string { return strconv.FormatUint(firstVersion+version, 10) }

// version is that of the last change. The lock is held.
func (w *world) version() uint64 { return w.dropped + uint64(len(w.log)) }

// append makes the object's bytes of its number.
func (w *world) append(out []byte, k kind, number uint64, state podState, version string) []byte {
	own := mix(w.seed ^ uint64(k)<<56 ^ number)
	var v values
	v[4] = version
	switch k {
	case nodes:
		v[2], v[5], v[8] = uid(own), decimal(number, 6), ip("192", number)
		return w.nodeTemplates[number%uint64(len(w.nodeTemplates))].appendTo(out, &v, w.encode)
	case namespaces:
		v[2], v[6] = uid(own), decimal(number, 4)
		return w.spaceTemplates[boolToInt(number%10 == 0)].appendTo(out, &v, w.encode)
	}
	v = w.podValues(number, version)
	return w.podTemplates[w.podKind(number)][state].appendTo(out, &v, w.encode)
}

func (w *world) podValues(number uint64, version string) values {
	own := mix(w.seed ^ uint64(pods)<<56 ^ number)
	node := own % uint64(w.nodeCount)
	// Some tens of pods share a workload and its namespace.
	group := mix(w.seed ^ number/24)
	return values{base36(number, 7), base36(group, 9), uid(own), uid(group), version, decimal(node, 6),
		decimal(group%uint64(w.spaceCount), 4), ip("172", own>>8), ip("192", node)}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (w *world) podKind(number uint64) uint64 { return mix(w.seed^number/24^7) % podKinds }

// size of the object's bytes, which its number and state alone decide.
func (w *world) size(k kind, number uint64, state podState) int {
	switch k {
	case nodes:
		return len(w.nodeTemplates[number%uint64(len(w.nodeTemplates))].bytes)
	case namespaces:
		return len(w.spaceTemplates[boolToInt(number%10 == 0)].bytes)
	}
	return len(w.podTemplates[w.podKind(number)][state].bytes)
}

func (w *world) stateOf(number uint64) podState {
	if state, ok := w.young[number]; ok {
		return state
	}
	return running
}

// tell adds a change. The lock is held.
func (w *world) tell(e event) {
	if len(w.log) == keptEvents {
		half := keptEvents / 2
		w.log = append(w.log[:0], w.log[half:]...)
		w.dropped += uint64(half)
	}
	w.log = append(w.log, e)
}

// beginPod lets one pod begin and the oldest end, and gives its number. The lock is held.
func (w *world) beginPod() uint64 {
	number := w.high
	w.high++
	w.young[number] = pending
	w.tell(event{uint32(number), pods, added, pending})
	w.tell(event{uint32(w.low), pods, deleted, w.stateOf(w.low)})
	delete(w.young, w.low)
	w.low++
	return number
}

// advancePod binds a pod that waits, or lets one that is bound run. The lock is held.
func (w *world) advancePod(number uint64) {
	state, ok := w.young[number]
	if !ok {
		return
	}
	state++
	if state == running {
		delete(w.young, number)
	} else {
		w.young[number] = state
	}
	w.tell(event{uint32(number), pods, modified, state})
}

// live lets time pass: heartbeats of nodes, one after the other; pods that begin, are bound a second later, run two
// seconds after that.
func (w *world) live() {
	const tick = 50 * time.Millisecond
	type step struct {
		at     time.Time
		number uint64
	}
	var waiting []step
	var podDebt, nodeDebt float64
	node := uint64(0)
	last := time.Now()
	for now := range time.Tick(tick) {
		passed := now.Sub(last).Seconds()
		last = now
		podDebt += passed * float64(w.podRate.Load())
		nodeDebt += passed * float64(w.heartbeat.Load())
		w.mutex.Lock()
		for ; podDebt >= 1; podDebt-- {
			number := w.beginPod()
			waiting = append(waiting, step{now.Add(time.Second), number}, step{now.Add(3 * time.Second), number})
		}
		for ; nodeDebt >= 1; nodeDebt-- {
			w.tell(event{uint32(node % uint64(w.nodeCount)), nodes, modified, 0})
			node++
		}
		kept := waiting[:0]
		for _, s := range waiting {
			if s.at.After(now) {
				kept = append(kept, s)
			} else {
				w.advancePod(s.number)
			}
		}
		waiting = kept
		w.changed.Broadcast()
		w.mutex.Unlock()
	}
}

// flood makes so many pods begin, be bound, run, and others end, all at once: four changes each.
func (w *world) flood(count int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for range count {
		number := w.beginPod()
		w.advancePod(number)
		w.advancePod(number)
	}
	w.changed.Broadcast()
}
