# cmake -DOUT=file.cc -DNAME=symbol -DFILES=a;b -P embed.cmake
# Writes the files' bytes as string literals: `const EmbeddedFile NAME[]`, closed by a null entry.
set(body "#include \"cmake/embedded_file.h\"\n\nnamespace sobre {\nextern const EmbeddedFile ${NAME}[];\nconst EmbeddedFile ${NAME}[] = {\n")
foreach(file ${FILES})
  get_filename_component(base ${file} NAME)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${hex}")
  # Short literals side by side: a compiler may refuse one very long literal.
  string(REGEX REPLACE "((\\\\x[0-9a-f][0-9a-f])(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?(\\\\x[0-9a-f][0-9a-f])?)" "    \"\\1\"\n" literals "${bytes}")
  file(SIZE ${file} size)
  string(APPEND body "  {\"${base}\", std::string_view(\n${literals}, ${size})},\n")
endforeach()
string(APPEND body "  {nullptr, {}}};\n}  // namespace sobre\n")
file(WRITE ${OUT} "${body}")
