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

format_check() {
  need clang-format
  say "Checking the format"
  git ls-files '*.cc' '*.h' | xargs clang-format --dry-run -Werror || fail "not formatted; call ./run format"
}

# Takes the preset that was built, and options of clang-tidy.
lint() {
  local preset=$1
  shift
  need clang-tidy
  say "clang-tidy (a few minutes; quick once its results are cached)"
  # A source is checked again when it, a header or the rules changed; and by itself, without g++'s precompiled headers.
  local stamp source key
  mkdir -p "$cache/tidy" build/tidy
  sed 's/ -Winvalid-pch -include [^ ]*//; s/ -fpch-preprocess//' "build/$preset/compile_commands.json" >build/tidy/compile_commands.json
  key=$( (echo "$@" && cat .clang-tidy $(git ls-files '*.h' '*.proto')) | sha256sum | cut -c1-32)
  git ls-files '*.cc' | grep -v '_test\.cc$' | while read -r source; do
    stamp=$(sha256sum <"$source" | cut -c1-32)
    [ -f "$cache/tidy/$key-$stamp" ] || printf '%s %s\n' "$source" "$cache/tidy/$key-$stamp"
  done | xargs -r -P "$jobs" -L 1 sh -c 'clang-tidy -p build/tidy --quiet '"$*"' "$0" 2>/dev/null && touch "$1"' \
    || fail "clang-tidy found the above"
}
