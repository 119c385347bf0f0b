// Asks an expander for the best ways to grow a cluster, as the Cluster Autoscaler asks it. Pods and
// nodes are Kubernetes' own types; the few messages around them, whose module cannot be had, are
// written field by field.
//
// Each line of standard input is a question, each line of standard output its answer.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	v1 "k8s.io/api/core/v1"
)

// The autoscaler's own.
const (
	deadline  = 5 * time.Second
	mostBytes = 128 << 20
	method    = "/grpcplugin.Expander/BestOptions"
)

// Fields of grpcplugin.BestOptionsRequest, BestOptionsResponse and Option.
const (
	requestOptions, requestNodeMap, requestNodeBytesMap = 1, 2, 3
	responseOptions                                     = 1
	optionGroup, optionCount, optionDebug               = 1, 2, 3
	optionPod, optionPodBytes                           = 4, 5
	mapKey, mapValue                                    = 1, 2
)

type option struct {
	Group string   `json:"group"`
	Count int32    `json:"count"`
	Debug string   `json:"debug"`
	Node  *v1.Node `json:"node"` // nothing: no template is sent
	Pods  []v1.Pod `json:"pods"`
	// So often each pod, under another name each time.
	Copies int `json:"copies"`
}

type question struct {
	Shape   string   `json:"shape"` // "typed" (until 1.33), "both" (1.34) or "bytes" (since 1.35)
	Options []option `json:"options"`
}

type answer struct {
	Groups  []string `json:"groups"`
	Debug   []string `json:"debug"`
	Code    string   `json:"code"` // "OK", or what the call failed with
	Message string   `json:"message,omitempty"`
	Bytes   int      `json:"bytes"` // of the question
	Millis  int64    `json:"millis"`
}

func (q question) fields(typed, encoded protowire.Number) ([]protowire.Number, error) {
	switch q.Shape {
	case "typed":
		return []protowire.Number{typed}, nil
	case "both":
		return []protowire.Number{typed, encoded}, nil
	case "bytes":
		return []protowire.Number{encoded}, nil
	}
	return nil, fmt.Errorf("shape: expected typed, both or bytes, not %q", q.Shape)
}

func appendField(to []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), value)
}

func appendOption(to []byte, q question, o option) ([]byte, error) {
	fields, err := q.fields(optionPod, optionPodBytes)
	if err != nil {
		return nil, err
	}
	body := appendField(nil, optionGroup, []byte(o.Group))
	body = protowire.AppendVarint(protowire.AppendTag(body, optionCount, protowire.VarintType), uint64(o.Count))
	body = appendField(body, optionDebug, []byte(o.Debug))
	for _, field := range fields {
		for i := range o.Pods {
			pod := o.Pods[i]
			for copy := 0; copy < max(o.Copies, 1); copy++ {
				if o.Copies > 1 {
					pod.Name = fmt.Sprintf("%s-%d", o.Pods[i].Name, copy)
				}
				encoded, err := pod.Marshal()
				if err != nil {
					return nil, err
				}
				body = appendField(body, field, encoded)
			}
		}
	}
	return appendField(to, requestOptions, body), nil
}

func (q question) encode() ([]byte, error) {
	var to []byte
	var err error
	for _, o := range q.Options {
		if to, err = appendOption(to, q, o); err != nil {
			return nil, err
		}
	}
	fields, err := q.fields(requestNodeMap, requestNodeBytesMap)
	if err != nil {
		return nil, err
	}
	for _, o := range q.Options {
		if o.Node == nil {
			continue
		}
		encoded, err := o.Node.Marshal()
		if err != nil {
			return nil, err
		}
		entry := appendField(appendField(nil, mapKey, []byte(o.Group)), mapValue, encoded)
		for _, field := range fields {
			to = appendField(to, field, entry)
		}
	}
	return to, nil
}

// Calls take for each length-delimited field of the message.
func eachField(message []byte, take func(protowire.Number, []byte)) error {
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return protowire.ParseError(length)
		}
		message = message[length:]
		if kind == protowire.BytesType {
			value, length := protowire.ConsumeBytes(message)
			if length < 0 {
				return protowire.ParseError(length)
			}
			take(number, value)
			message = message[length:]
			continue
		}
		if length = protowire.ConsumeFieldValue(number, kind, message); length < 0 {
			return protowire.ParseError(length)
		}
		message = message[length:]
	}
	return nil
}

func (a *answer) decode(message []byte) error {
	return eachField(message, func(number protowire.Number, body []byte) {
		if number != responseOptions {
			return
		}
		var group, debug string
		_ = eachField(body, func(number protowire.Number, value []byte) {
			switch number {
			case optionGroup:
				group = string(value)
			case optionDebug:
				debug = string(value)
			}
		})
		a.Groups, a.Debug = append(a.Groups, group), append(a.Debug, debug)
	})
}

// Messages are bytes already.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (rawCodec) Name() string { return "proto" }

func ask(connection *grpc.ClientConn, q question) (answer, error) {
	request, err := q.encode()
	if err != nil {
		return answer{}, err
	}
	a := answer{Groups: []string{}, Debug: []string{}, Bytes: len(request)}
	within, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var response []byte
	began := time.Now()
	err = connection.Invoke(within, method, &request, &response, grpc.ForceCodec(rawCodec{}),
		grpc.MaxCallSendMsgSize(mostBytes), grpc.MaxCallRecvMsgSize(mostBytes))
	a.Millis = time.Since(began).Milliseconds()
	a.Code = status.Code(err).String()
	if err != nil {
		a.Message = err.Error()
	}
	return a, a.decode(response)
}

func run(address, name, authority string) error {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s: no certificate in it", authority)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12})))
	if err != nil {
		return err
	}
	defer connection.Close()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, mostBytes)
	for lines.Scan() {
		var q question
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&q); err != nil {
			return err
		}
		a, err := ask(connection, q)
		if err != nil {
			return err
		}
		printed, err := json.Marshal(a)
		if err != nil {
			return err
		}
		fmt.Println(string(printed))
	}
	return lines.Err()
}

func main() {
	address := flag.String("address", "", "HOST:PORT of the expander")
	authority := flag.String("ca", "", "PEM file of the authorities that may have signed its certificate")
	name := flag.String("name", "", "that its certificate has; empty: HOST")
	flag.Parse()
	if err := run(*address, *name, *authority); err != nil {
		fmt.Fprintln(os.Stderr, "expander client:", err)
		os.Exit(1)
	}
}
