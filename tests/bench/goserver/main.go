// The least that a Go extender can do: decode the names, answer equal scores, and let all pass.
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
)

type args struct {
	NodeNames *[]string
	Nodes     *struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		} `json:"items"`
	}
}

type priority struct {
	Host  string
	Score int64
}

type filterResult struct {
	Nodes                      *struct{}
	NodeNames                  *[]string
	FailedNodes                map[string]string
	FailedAndUnresolvableNodes map[string]string
	Error                      string
}

func answer(w http.ResponseWriter, value any) {
	body, _ := json.Marshal(value)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

func main() {
	http.HandleFunc("/v1/filter", func(w http.ResponseWriter, r *http.Request) {
		var a args
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil || a.NodeNames == nil {
			http.Error(w, "expected NodeNames", http.StatusBadRequest)
			return
		}
		answer(w, filterResult{NodeNames: a.NodeNames})
	})
	http.HandleFunc("/v1/prioritize", func(w http.ResponseWriter, r *http.Request) {
		var a args
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var out []priority
		if a.NodeNames != nil {
			for _, name := range *a.NodeNames {
				out = append(out, priority{name, 5})
			}
		} else if a.Nodes != nil {
			for _, node := range a.Nodes.Items {
				out = append(out, priority{node.Metadata.Name, 5})
			}
		}
		answer(w, out)
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
