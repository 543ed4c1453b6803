# cmake -DFILES=a.json;b.json -DOUT=texts.cpp -P embed.cmake: the files' texts as one C++ function, by name.
set(cases "")
foreach(file IN LISTS FILES)
  get_filename_component(name "${file}" NAME_WE)
  file(READ "${file}" text)
  string(APPEND cases "  if (name == \"${name}\") return R\"k4t_schema(${text})k4t_schema\";\n")
endforeach()
file(WRITE "${OUT}" "#include \"k4t/schema.hpp\"\n\nnamespace k4t {\n\n"
                    "std::string_view schema_text(std::string_view name) {\n${cases}  return {};\n}\n\n}  // namespace k4t\n")
