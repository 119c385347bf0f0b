# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by ./run: what CI runs.

# Why programs cannot be isolated here, as the release image's build does it; nothing where they can.
isolation_refusal() {
  local folder said
  folder=$(mktemp -d)
  # shellcheck disable=SC2016  # the inner shell's own words
  said=$(unshare --mount --pid --fork --kill-child sh -ec 'mount -t tmpfs tmpfs "$0"; mount --bind "$0" "$0"' "$folder" 2>&1) \
    || printf '%s\n' "${said:-unshare failed}" | head -1
  rmdir "$folder"
}

# What the release image and the other versions of Kubernetes are made from and tested with. Its digest names what last passed.
whole_depends_on=(image helm deploy k8s cmake CMakeLists.txt CMakePresets.json web/package-lock.json tests/chart.py tests/minicluster tests/e2e)

whole_stamp() { echo "$cache/whole/$(git ls-files -z "${whole_depends_on[@]}" | xargs -0 cat | sha256sum | cut -c1-32)"; }

# in_background JOBS NICENESS COMMAND: ./run COMMAND beside everything else; its process is $started.
in_background() {
  say "In the background: ./run $3 (its log: $cache/$3.log)"
  SOBRE_JOBS=$1 nice -n "$2" "$PWD/run" "$3" >"$cache/$3.log" 2>&1 &
  started=$!
}

wait_for() {
  say "Waiting for $2"
  wait "$1" || { tail -20 "$cache/$2.log" >&2; fail "$2 was not made"; }
}

# run_tests [all | changed]: all has the release image and the other versions of Kubernetes too; changed has them where what they are made
# from has changed since they last passed here.
run_tests() {
  local which=${1:-} refused started plane image='' name marks=()
  case $which in
    '') ;;
    all) ;;
    changed) if [ -f "$(whole_stamp)" ]; then which=''; else which=all; fi ;;
    *) fail "test takes all, changed or nothing, not '$which'" ;;
  esac
  # Known before an hour has passed. `python3 -m tests.isolation`, which skips tests, tries the same and more.
  refused=$(isolation_refusal)
  [ -z "$refused" ] || say "Without the release image, and without the tests that isolate programs, which are named at the end: $refused"
  need_build
  need_e2e
  need clang clang-format clang-tidy python3-pytest-xdist
  mkdir -p "$cache/whole"
  # The longest part first.
  if [ -n "$which" ]; then
    in_background 1 0 control-planes
    plane=$started
    [ -n "$refused" ] || {
      in_background "$jobs" 10 image
      image=$started
    }
  else
    say "Without the release image and other versions of Kubernetes than 1.36: ./run test all has them"
    marks=(-m "not whole")
    in_background 1 0 control-plane
    plane=$started
  fi
  format_check
  # What the sanitizers cannot run is run with the release; else their tests are dev's.
  unit asan
  # The static analyzer, which takes as long as all else, is for ./run lint.
  lint asan --checks=-clang-analyzer-\*
  unit tsan
  build release --target "${tested_programs[@]}"
  build/release/extender/allocation_test --gtest_brief=1
  build/release/audit/audit_test --gtest_brief=1 --gtest_filter='Digest.*'
  build asan --target decide_digest
  build clang --target decide_digest
  if [ -n "$which" ]; then wait_for "$plane" control-planes; else wait_for "$plane" control-plane; fi
  [ -z "$image" ] || wait_for "$image" image
  # Known to all processes of the tests, so that none of them asks the build again.
  for name in bin control-plane tools expander-client store-test audit-test digests study-python; do
    name_program $name
  done
  [ -z "$which" ] || name_program control-planes
  [ -z "$image" ] || export SOBRE_IMAGE_ROOT=$PWD/build/image/root
  say "The bench's short form"
  /usr/bin/python3 -m tests.bench short || fail "slower against the floor than the bench allows; ./run bench latency tells more"
  say "Tests with real programs"
  python_tests -n "${SOBRE_TEST_WORKERS:-2}" "${marks[@]}" tests
  [ -z "$image" ] || touch "$(whole_stamp)"
}

python_tests() { /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@"; }
