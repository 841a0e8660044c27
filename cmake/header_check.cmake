# Every header compiles alone: one generated file each, which only includes it (twice, for the guard). Not part of `all`;
# the test repository.headers builds it.
file(GLOB_RECURSE gm_headers RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/*.h
     ${CMAKE_SOURCE_DIR}/kernels/*.h ${CMAKE_SOURCE_DIR}/src/*.h)
set(gm_header_checks)
foreach(header ${gm_headers})
  string(MAKE_C_IDENTIFIER ${header} stem)
  string(REGEX REPLACE "^include/" "" spelling ${header})
  set(check ${CMAKE_BINARY_DIR}/header_check/${stem}.cpp)
  file(CONFIGURE OUTPUT ${check} CONTENT "#include \"${spelling}\"\n#include \"${spelling}\"\n")
  list(APPEND gm_header_checks ${check})
endforeach()
add_library(header_check OBJECT EXCLUDE_FROM_ALL ${gm_header_checks})
gm_compile_options(header_check)
target_compile_options(header_check PRIVATE -O0 -g0)
# Kernels are compiled once an instruction set, each in a namespace of that name.
target_compile_definitions(header_check PRIVATE GM_TARGET=on_header_check)
target_link_libraries(header_check PRIVATE fmt::fmt xxhash::xxhash Threads::Threads)
