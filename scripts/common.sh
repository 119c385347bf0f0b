# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by ./run: what all commands share. It stands in the repository's root, and an error ends it.

cache=${SOBRE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sobre}
jobs=${SOBRE_JOBS:-$(nproc)}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
fail() { printf 'run: %s\n' "$*" >&2; exit 1; }

# Installs the Debian packages that are missing.
need() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" = 0 ] || fail "these Debian packages are missing, and only root can install them: ${missing[*]}"
  say "Installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # The control plane's build in the background may install too.
  exec 8>/tmp/sobre-apt.lock
  flock 8
  # Others may be installing too, such as a new machine's first start.
  local patience=(-o DPkg::Lock::Timeout=600)
  apt-get update -qq "${patience[@]}" || fail "apt-get update failed: is there a network?"
  apt-get install -y -qq --no-install-recommends "${patience[@]}" -o Dpkg::Options::=--force-confold "${missing[@]}" >"/tmp/sobre-apt.$$.log" 2>&1 || {
    tail -20 "/tmp/sobre-apt.$$.log" >&2
    fail "apt-get install failed"
  }
  rm -f "/tmp/sobre-apt.$$.log"
  flock -u 8
}

need_build() {
  need g++ cmake ninja-build ccache pkg-config libcpp-httplib-dev libsimdjson-dev libyaml-cpp-dev \
    libprotobuf-dev protobuf-compiler prometheus-cpp-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libbrotli-dev libsqlite3-dev libpq-dev \
    libgrpc++-dev protobuf-compiler-grpc libgtest-dev libgmock-dev ca-certificates
  # Another package of Node than Debian's brings its own npm, and conflicts with Debian's.
  command -v npm >/dev/null || need nodejs npm
}

need_e2e() {
  # Tests make servers of their own: the package need not start one.
  if [ ! -e /etc/postgresql-common/createcluster.conf ] && [ "$(id -u)" = 0 ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  need iproute2 postgresql-15 python3 python3-pytest python3-yaml openssl prometheus curl chromium chromium-driver python3-selenium faketime \
    python3-grpcio python3-protobuf
}
