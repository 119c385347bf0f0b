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

run_tests() {
  local refused image='' plane name
  # Known before an hour has passed. `python3 -m tests.isolation`, which skips tests, tries the same and more.
  refused=$(isolation_refusal)
  [ -z "$refused" ] || say "Without the release image, and without the tests that isolate programs, which are named at the end: $refused"
  need_build
  need_e2e
  need clang clang-format clang-tidy python3-pytest-xdist
  # The longest part first, beside everything else.
  mkdir -p "$cache"
  say "Building the control plane in the background (its log: $cache/controlplane.log)"
  SOBRE_JOBS=1 "$PWD/run" control-plane >"$cache/controlplane.log" 2>&1 &
  plane=$!
  [ -n "$refused" ] || {
    say "Building the release image in the background (its log: $cache/image.log)"
    nice -n 10 "$PWD/run" image >"$cache/image.log" 2>&1 &
    image=$!
  }
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
  say "Waiting for the control plane"
  wait $plane || { tail -20 "$cache/controlplane.log" >&2; fail "the control plane did not build"; }
  [ -z "$image" ] || say "Waiting for the release image"
  [ -z "$image" ] || wait $image || { tail -20 "$cache/image.log" >&2; fail "the release image did not build"; }
  # Known to all processes of the tests, so that none of them asks the build again.
  for name in bin control-plane control-planes tools expander-client store-test audit-test digests study-python; do
    name_program $name
  done
  export SOBRE_IMAGE_ROOT=$PWD/build/image/root
  say "The bench's short form"
  /usr/bin/python3 -m tests.bench short || fail "slower against the floor than the bench allows; ./run bench latency tells more"
  say "Tests with real programs"
  python_tests -n "${SOBRE_TEST_WORKERS:-2}" tests
}

python_tests() { /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@"; }
