# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by ./run: the fuzz targets of tests/fuzz.

# The targets that are named, or all: N runs each, from the corpus in tests/fuzz and from what earlier calls found.
fuzz() {
  local runs=200000 merge='' targets=() target known folder=build/fuzz/corpus log start failed=''
  while [ $# -gt 0 ]; do
    case $1 in
      --runs) runs=${2:?run fuzz: --runs wants a number} && shift 2 ;;
      --merge) merge=1 && shift ;;
      -*) fail "fuzz has no option $1" ;;
      *) targets+=("$1") && shift ;;
    esac
  done
  known=$(cd tests/fuzz && ls -- *_fuzz.cc | sed 's/_fuzz\.cc$//')
  [ ${#targets[@]} -gt 0 ] || mapfile -t targets <<<"$known"
  for target in "${targets[@]}"; do
    grep -qx -- "$target" <<<"$known" || fail "no fuzz target $target; there are:" $known
  done
  need clang libclang-rt-dev
  build fuzz --target "${targets[@]/#/fuzz_}"
  mkdir -p build/fuzz/findings
  for target in "${targets[@]}"; do
    log=build/fuzz/$target.log
    mkdir -p "$folder/$target"
    start=$SECONDS
    if fuzz_program "$target" -runs="$runs" -print_final_stats=1 "$folder/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
      printf '%-16s %10s runs %6s s  %s\n' "$target" "$(awk '/stat::number_of_executed_units/ {print $2}' "$log")" $((SECONDS - start)) \
        "$(grep -o 'DONE *cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$log" | sed 's/DONE *//')"
    else
      tail -40 "$log" >&2
      printf '%s: found something: the input is in build/fuzz/findings; build/fuzz/fuzz/fuzz_%s FILE shows it again\n' "$target" "$target" >&2
      failed=1
      continue
    fi
    if [ -n "$merge" ]; then
      rm -rf "$folder/merged" && mkdir -p "$folder/merged"
      fuzz_program "$target" -merge=1 "$folder/merged" "tests/fuzz/corpus/$target" "$folder/$target" >>"$log" 2>&1
      rm -rf "tests/fuzz/corpus/$target" && mv "$folder/merged" "tests/fuzz/corpus/$target"
    fi
  done
  [ -z "$failed" ] || fail "a fuzz target found something"
}

# Short inputs are changed in more places; these lengths hold what the seeds have. Choosing inputs by entropy takes half of the
# time where there are many features, so does looking for leaks before the end where caches grow, and long stacks of each allocation
# fill the memory of a long run.
fuzz_program() {
  local target=$1 length=2048 options=()
  shift
  case $target in
    annotations | configuration | footprint) length=1024 ;;
    records | chain | extender_json | expander) length=4096 ;;
  esac
  [ ! -f "tests/fuzz/$target.dict" ] || options=("-dict=tests/fuzz/$target.dict")
  ASAN_OPTIONS=malloc_context_size=3:quarantine_size_mb=16 \
    "build/fuzz/fuzz/fuzz_$target" -max_len=$length -entropic=0 -detect_leaks=0 -rss_limit_mb=2048 -timeout=20 "-artifact_prefix=build/fuzz/findings/$target-" \
    "${options[@]}" "$@"
}
