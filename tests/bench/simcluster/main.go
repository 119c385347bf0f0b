// simcluster plays the API server of a cluster of any size: paged lists and watches of nodes, namespaces and pods in
// Kubernetes' protobuf, under way as a real cluster is, and leases and events that are taken. It prints its address.
//
//	simcluster --nodes 5000 --pods 50000 --pod-rate 10
//
// GET /sim/state tells what was sent, POST /sim/rates?pods=N&heartbeats=N changes the pace, POST /sim/flood?pods=N makes
// so many pods begin, be bound, run and others end at once. POST /sim/schedule plays schedulers that ask an extender; see
// schedule.go.
package main

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const protobufType = "application/vnd.kubernetes.protobuf"

// What stands before the bytes of an object: the four letters and its envelope's head.
func envelope(kindName string, length int) []byte {
	out := append(make([]byte, 0, 64), 'k', '8', 's', 0)
	inner := appendBytesField(nil, 1, 2)
	inner = append(inner, "v1"...)
	inner = appendBytesField(inner, 2, len(kindName))
	inner = append(inner, kindName...)
	out = appendBytesField(out, 1, len(inner))
	out = append(out, inner...)
	return appendBytesField(out, 2, length)
}

// The empty content encoding and type, which end an envelope.
var tail = []byte{0x1a, 0, 0x22, 0}

func fail(out http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	status := metav1.Status{Status: "Failure", Message: message, Reason: reason, Code: int32(code)}
	raw, _ := status.Marshal()
	out.Header().Set("Content-Type", protobufType)
	out.WriteHeader(code)
	out.Write(append(append(envelope("Status", len(raw)), raw...), tail...))
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

type server struct {
	*world
	leases sync.Map
}

// list writes one page. Its token holds the version of the first page, the next number and the end.
func (s *server) list(out http.ResponseWriter, request *http.Request, k kind) {
	query := request.URL.Query()
	limit, _ := strconv.ParseUint(query.Get("limit"), 10, 32)
	var version, from, to uint64
	s.mutex.Lock()
	if token := query.Get("continue"); token != "" {
		if _, err := fmt.Sscanf(token, "%d.%d.%d", &version, &from, &to); err != nil {
			s.mutex.Unlock()
			fail(out, 400, metav1.StatusReasonBadRequest, "continue: not a token of this server")
			return
		}
	} else {
		version = s.version()
		switch k {
		case nodes:
			to = uint64(s.nodeCount)
		case namespaces:
			to = uint64(s.spaceCount)
		default:
			from, to = s.low, s.high
		}
	}
	end := to
	if limit > 0 {
		end = min(to, from+limit)
	}
	states := make([]podState, end-from)
	for i := range states {
		states[i] = s.stateOf(from + uint64(i))
	}
	s.mutex.Unlock()

	list := metav1.ListMeta{ResourceVersion: versionText(version)}
	if end < to {
		left := int64(to - end)
		list.Continue = fmt.Sprintf("%d.%d.%d", version, end, to)
		list.RemainingItemCount = &left
	}
	meta, _ := list.Marshal()
	length := 1 + varintSize(len(meta)) + len(meta)
	for i, state := range states {
		size := s.size(k, from+uint64(i), state)
		length += 1 + varintSize(size) + size
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	page := append((*buffer)[:0], envelope(kindNames[k]+"List", length)...)
	page = appendBytesField(page, 1, len(meta))
	page = append(page, meta...)
	text := versionText(version)
	for i, state := range states {
		number := from + uint64(i)
		page = appendBytesField(page, 2, s.size(k, number, state))
		page = s.append(page, k, number, state, text)
	}
	page = append(page, tail...)
	*buffer = page
	s.listed.Add(uint64(len(page)))
	out.Header().Set("Content-Type", protobufType)
	// As kube-apiserver compresses: large answers, quickly, for whoever accepts it.
	if strings.Contains(request.Header.Get("Accept-Encoding"), "gzip") && len(page) > 128<<10 {
		out.Header().Set("Content-Encoding", "gzip")
		packed, _ := gzip.NewWriterLevel(out, gzip.BestSpeed)
		packed.Write(page)
		packed.Close()
		return
	}
	out.Header().Set("Content-Length", strconv.Itoa(len(page)))
	out.Write(page)
}

func appendFrame(out []byte, what string, kindName string, raw []byte) []byte {
	head := envelope(kindName, len(raw))
	object := len(head) + len(raw) + len(tail)
	extension := 1 + varintSize(object) + object
	total := 2 + len(what) + 1 + varintSize(extension) + extension
	out = binary.BigEndian.AppendUint32(out, uint32(total))
	out = appendBytesField(out, 1, len(what))
	out = append(out, what...)
	out = appendBytesField(out, 2, extension)
	out = appendBytesField(out, 1, object)
	out = append(out, head...)
	out = append(out, raw...)
	return append(out, tail...)
}

func (s *server) bookmark(out []byte, k kind, version uint64) []byte {
	meta := metav1.ObjectMeta{ResourceVersion: versionText(version)}
	raw, _ := meta.Marshal()
	return appendFrame(out, "BOOKMARK", kindNames[k], append(appendBytesField(nil, 1, len(raw)), raw...))
}

func (s *server) watch(out http.ResponseWriter, request *http.Request, k kind) {
	query := request.URL.Query()
	given, err := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	if err != nil || given < firstVersion {
		fail(out, 400, metav1.StatusReasonBadRequest, "resourceVersion: a list's is wanted")
		return
	}
	seconds, _ := strconv.Atoi(query.Get("timeoutSeconds"))
	if seconds <= 0 {
		seconds = 1800
	}
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	next := given - firstVersion // of the first change to tell
	out.Header().Set("Content-Type", protobufType+";stream=watch")
	flusher := out.(http.Flusher)
	flusher.Flush()
	s.watchers.Add(1)
	defer s.watchers.Add(-1)
	bookmarkAt := time.Now().Add(50 * time.Second)
	var batch []event
	var versions []uint64
	var frames, raw []byte
	for request.Context().Err() == nil {
		now := time.Now()
		if now.After(end) {
			return
		}
		batch, versions, frames = batch[:0], versions[:0], frames[:0]
		s.mutex.Lock()
		if next == s.version() {
			s.changed.Wait()
		}
		gone := next < s.dropped
		for ; !gone && next < s.version() && len(batch) < 256; next++ {
			if e := s.log[next-s.dropped]; e.kind == k {
				batch = append(batch, e)
				versions = append(versions, next+1)
			}
		}
		s.mutex.Unlock()
		if gone {
			status := metav1.Status{Status: "Failure", Message: "too old resource version", Reason: metav1.StatusReasonExpired, Code: 410}
			raw, _ = status.Marshal()
			out.Write(appendFrame(frames, "ERROR", "Status", raw))
			return
		}
		for i, e := range batch {
			raw = s.append(raw[:0], k, uint64(e.number), e.state, versionText(versions[i]))
			frames = appendFrame(frames, eventNames[e.what], kindNames[k], raw)
		}
		if now.After(bookmarkAt) {
			frames = s.bookmark(frames, k, next)
			bookmarkAt = now.Add(time.Minute)
		}
		if len(frames) == 0 {
			continue
		}
		if _, err := out.Write(frames); err != nil {
			return
		}
		flusher.Flush()
		s.sent.Add(uint64(len(batch)))
	}
}

// Leases are kept as they come, events are forgotten.
func (s *server) keep(out http.ResponseWriter, request *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	path := request.URL.Path
	if request.Method == http.MethodGet {
		if found, ok := s.leases.Load(path); ok {
			json.NewEncoder(out).Encode(found)
			return
		}
		out.WriteHeader(404)
		io.WriteString(out, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"not found","code":404}`)
		return
	}
	var object map[string]any
	if err := json.NewDecoder(request.Body).Decode(&object); err != nil {
		out.WriteHeader(400)
		return
	}
	s.mutex.Lock()
	version := versionText(s.version())
	s.mutex.Unlock()
	if meta, ok := object["metadata"].(map[string]any); ok {
		meta["resourceVersion"] = version + strconv.FormatInt(time.Now().UnixMilli(), 10)
		if request.Method == http.MethodPost && strings.HasSuffix(path, "/leases") {
			path += fmt.Sprint("/", meta["name"])
		}
	}
	if strings.Contains(path, "/leases/") {
		s.leases.Store(path, object)
	}
	if request.Method == http.MethodPost {
		out.WriteHeader(201)
	}
	json.NewEncoder(out).Encode(object)
}

func (s *server) ServeHTTP(out http.ResponseWriter, request *http.Request) {
	path := request.URL.Path
	if k, ok := paths[path]; ok && request.Method == http.MethodGet {
		if request.URL.Query().Get("watch") != "" {
			s.watch(out, request, k)
		} else {
			s.list(out, request, k)
		}
		return
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(request.URL.Query().Get(name), 10, 64)
		return n
	}
	switch {
	case path == "/sim/state":
		s.mutex.Lock()
		version, begun := s.version(), s.high
		s.mutex.Unlock()
		json.NewEncoder(out).Encode(map[string]any{"version": version, "begun": begun, "sent": s.sent.Load(), "watchers": s.watchers.Load(), "listed": s.listed.Load()})
	case path == "/sim/rates":
		s.podRate.Store(number("pods"))
		s.heartbeat.Store(number("heartbeats"))
	case path == "/sim/flood":
		s.flood(int(number("pods")))
	case path == "/sim/schedule":
		var want scheduling
		if err := json.NewDecoder(request.Body).Decode(&want); err != nil || want.Names < 1 {
			fail(out, 400, metav1.StatusReasonBadRequest, "give url, names, pods, seconds, clients, rate")
			return
		}
		json.NewEncoder(out).Encode(s.schedule(want))
	case strings.HasSuffix(path, "/events") || strings.Contains(path, "/leases"):
		s.keep(out, request)
	case path == "/readyz" || path == "/livez":
		io.WriteString(out, "ok")
	default:
		fail(out, 404, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	}
}

func main() {
	nodeCount := flag.Int("nodes", 5000, "how many nodes")
	podCount := flag.Int("pods", 50000, "how many pods")
	spaceCount := flag.Int("namespaces", 200, "how many namespaces")
	podRate := flag.Int64("pod-rate", 0, "pods that begin each second, and that end")
	heartbeats := flag.Int64("heartbeats", -1, "node statuses a second; -1: each node's every five minutes, as kubelets do")
	encode := flag.Bool("encode", false, "encode each object that is asked for, as kube-apiserver does, instead of handing out ready bytes")
	seed := flag.Uint64("seed", 1, "which cluster of that size")
	address := flag.String("listen", "127.0.0.1:0", "where")
	flag.Parse()
	if *nodeCount < 1 || *nodeCount > 999_999 || *spaceCount < 1 || *spaceCount > 9_999 || *podCount < 0 {
		log.Fatal("simcluster: 1 to 999999 nodes, 1 to 9999 namespaces, pods from 0")
	}
	w := newWorld(*nodeCount, *podCount, *spaceCount, *seed)
	w.encode = *encode
	w.podRate.Store(*podRate)
	if *heartbeats < 0 {
		*heartbeats = int64(*nodeCount) / 300
	}
	w.heartbeat.Store(*heartbeats)
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	go w.live()
	log.Fatal(http.Serve(listener, &server{world: w}))
}
