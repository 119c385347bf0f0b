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

# The recipe of the release image, and what the further versions of Kubernetes are tested with. Its digest names what last passed.
image_depends_on=(image cmake '*CMakeLists.txt' CMakePresets.json 'web/*.json' 'web/*.mjs' 'web/*.cmake' tests/e2e/test_image.py)
versions_depend_on=(helm deploy k8s tests/chart.py tests/minicluster tests/e2e/controlplane tests/e2e/test_installed.py tests/e2e/test_admission.py)

# stamp NAME FILES...: the file that says that these passed.
stamp() {
  local name=$1 digest
  shift
  digest=$(git ls-files -z -- "$@" | xargs -0 sha256sum | sha256sum | cut -c1-32) || fail "git cannot list the files of $name"
  echo "$cache/passed/$name-$digest"
}

# in_background JOBS NICENESS COMMAND: ./run COMMAND beside everything else, in a process group of its own: $started.
in_background() {
  say "In the background: ./run $3 (its log: $cache/$3.log)"
  SOBRE_JOBS=$1 setsid nice -n "$2" "$PWD/run" "$3" >"$cache/$3.log" 2>&1 &
  started=$!
  background+=("$started")
}
background=()

# What still runs in the background ends with this script, however that ends.
end_background() {
  local group
  for group in "${background[@]}"; do kill -- "-$group" 2>/dev/null || true; done
}

wait_for() {
  say "Waiting for $2"
  wait "$1" || { tail -20 "$cache/$2.log" >&2; fail "$2 was not made"; }
}

# run_tests [all | changed]: all has the release image and further versions of Kubernetes too; changed has each of them where what it is made
# from or tested with has changed since it last passed here.
run_tests() {
  local with_image='' with_versions='' refused started plane image='' name left_out=() marks=''
  local image_stamp versions_stamp planes=control-plane
  image_stamp=$(stamp image "${image_depends_on[@]}")
  versions_stamp=$(stamp versions "${versions_depend_on[@]}")
  case ${1:-} in
    '') ;;
    all) with_image=1 with_versions=1 ;;
    changed)
      [ -f "$image_stamp" ] || with_image=1
      [ -f "$versions_stamp" ] || with_versions=1
      ;;
    *) fail "test takes all, changed or nothing, not '$1'" ;;
  esac
  # Known before an hour has passed. `python3 -m tests.isolation`, which skips tests, tries the same and more.
  refused=$(isolation_refusal)
  [ -z "$refused" ] || say "Without the release image, and without the tests that isolate programs, which are named at the end: $refused"
  need_build
  need_e2e
  need clang clang-format clang-tidy python3-pytest-xdist
  [ -z "$refused" ] || with_image=''
  mkdir -p "$cache/passed"
  trap end_background EXIT
  # The longest part first.
  if [ -n "$with_versions" ]; then planes=control-planes; else left_out+=(versions); fi
  in_background 1 0 $planes
  plane=$started
  if [ -n "$with_image" ]; then
    in_background "$jobs" 10 image
    image=$started
  elif [ -z "$refused" ]; then
    left_out+=(image)
  fi
  [ ${#left_out[@]} -eq 0 ] || say "Left out, as ./run test all has it: ${left_out[*]} (the release image, versions of Kubernetes beside 1.36)"
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
  wait_for "$plane" $planes
  [ -z "$image" ] || wait_for "$image" image
  # Known to all processes of the tests, so that none of them asks the build again.
  for name in bin control-plane tools expander-client store-test audit-test digests study-python; do
    name_program $name
  done
  [ -z "$with_versions" ] || name_program control-planes
  [ -z "$image" ] || export SOBRE_IMAGE_ROOT=$PWD/build/image/root
  say "The bench's short form"
  /usr/bin/python3 -m tests.bench short || fail "slower against the floor than the bench allows; ./run bench latency tells more"
  say "Tests with real programs"
  for name in "${left_out[@]}"; do marks+="${marks:+ and }not $name"; done
  python_tests -n "${SOBRE_TEST_WORKERS:-2}" -m "$marks" tests
  [ -z "$with_image" ] || touch "$image_stamp"
  # Where programs cannot be isolated, some of their tests were skipped.
  [ -z "$with_versions" ] || [ -n "$refused" ] || touch "$versions_stamp"
}

python_tests() { /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@"; }
