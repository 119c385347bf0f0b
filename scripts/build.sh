# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by ./run: compiling, unit tests, format and clang-tidy.

build() {
  local preset=$1
  shift
  need_build
  mkdir -p "$cache"
  export CCACHE_DIR=${CCACHE_DIR:-$cache/ccache}
  [ -f "build/$preset/build.ninja" ] || {
    say "Configuring $preset"
    cmake --preset "$preset" >/dev/null
  }
  say "Building $preset (the first time takes a few minutes)"
  cmake --build --preset "$preset" -j "$jobs" "$@" >&2
}

unit() {
  local preset=$1
  build "$preset"
  say "Unit tests, $preset"
  ctest --preset "$preset" -j "$jobs" --no-tests=error
}

# clang-format with these options over all sources, also those that are not committed yet.
clang_format() {
  need clang-format git
  git rev-parse --git-dir >/dev/null || fail "this is no git checkout of yours: git says above what to do"
  git ls-files -z -co --exclude-standard -- '*.cc' '*.h' | while IFS= read -r -d '' source; do
    [ ! -e "$source" ] || printf '%s\0' "$source"
  done | xargs -0 clang-format "$@"
}

format_check() {
  say "Checking the format"
  clang_format --dry-run -Werror || fail "not formatted; call ./run format"
}

# Takes the preset that was built, and options of clang-tidy.
lint() {
  local preset=$1
  shift
  need clang-tidy python3
  say "clang-tidy (a few minutes; quick once its results are cached)"
  /usr/bin/python3 scripts/tidy.py "build/$preset" "$cache/tidy" "$jobs" "$@" || fail "clang-tidy found the above"
}
