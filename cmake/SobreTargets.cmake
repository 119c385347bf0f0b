# Every compiled folder gets the same warnings, the same floating-point rules and the same test form.

option(SOBRE_WERROR "Treat warnings as errors" ON)
set(SOBRE_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined or thread")

add_library(sobre_options INTERFACE)
target_include_directories(sobre_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sobre_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -fno-omit-frame-pointer -fstack-protector-strong
  # One decision, bit for bit, on every machine: no contraction into fused multiply-add.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(sobre_options INTERFACE -Wthread-safety)
endif()
if(SOBRE_WERROR)
  target_compile_options(sobre_options INTERFACE -Werror)
endif()
# What is shipped makes little of a memory error; tests/test_hardening.py looks at the programs. The preset release says what
# else there is: the level of optimisation, and _FORTIFY_SOURCE, which hangs on it.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fPIE -fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options(-fcf-protection=full)
  endif()
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,text)
endif()
# Generated code needs these too: protobuf's inline functions differ under a sanitizer.
if(SOBRE_SANITIZE)
  add_compile_options(-fsanitize=${SOBRE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SOBRE_SANITIZE})
endif()

# For the preset fuzz: everything counts what it comes through.
option(SOBRE_FUZZ "Build the fuzz targets for libFuzzer (clang++)" OFF)
if(SOBRE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# Two sets of headers that most sources wait for, read once: every library's, and every test's. A source includes what it uses all
# the same: other presets, and clang-tidy, read each source by itself. Where g++ optimises, it warns of what stands in the standard
# library's headers once they are precompiled: tsan does not warn, release is without.
option(SOBRE_PCH "Precompile the headers that most sources include" ON)
if(SOBRE_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(sobre_options INTERFACE -fpch-preprocess)  # ccache wants it
endif()
function(sobre_precompiled name)
  cmake_parse_arguments(ARG "" "" "HEADERS;USES" ${ARGN})
  file(WRITE ${CMAKE_BINARY_DIR}/${name}.cc "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE sobre_options ${ARG_USES})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()
set(sobre_common_headers <algorithm> <array> <atomic> <chrono> <cmath> <cstdint> <cstdio> <filesystem> <functional> <map> <memory>
    <optional> <set> <span> <string> <string_view> <thread> <tuple> <unordered_map> <utility> <vector>)
function(sobre_reuse target name)
  if(SOBRE_PCH)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

# sobre_library(NAME SOURCES … USES …): one folder, one target.
function(sobre_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;PRIVATE_USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_USES} PRIVATE sobre_options ${ARG_PRIVATE_USES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  sobre_reuse(${name} sobre_headers)
endfunction()

# sobre_tests(NAME SOURCES … USES … [NO_THREADS]): the *_test.cc files beside a folder's sources, as one program. In what has no
# threads the thread sanitizer finds nothing: it is not built for it.
function(sobre_tests name)
  cmake_parse_arguments(ARG "NO_THREADS" "" "SOURCES;USES" ${ARGN})
  if(ARG_NO_THREADS AND SOBRE_SANITIZE STREQUAL "thread")
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_USES} sobre_options GTest::gtest_main GTest::gmock)
  sobre_reuse(${name} sobre_test_headers)
  include(GoogleTest)
  gtest_discover_tests(${name} PROPERTIES TIMEOUT 300 DISCOVERY_TIMEOUT 60)
endfunction()

# sobre_embed(TARGET SYMBOL FILES …): adds the files to the target as `const EmbeddedFile SYMBOL[]`.
# Relative paths are below the source folder; files that are built are given by absolute path.
function(sobre_embed target symbol)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cc)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]" OUTPUT_VARIABLE files)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DNAME=${symbol} "-DFILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
