# Every header compiles alone: one generated file each, which only includes it (twice, for the guard). Not part of `all`;
# the test repository.headers builds it.
file(GLOB_RECURSE gm_headers RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/*.h
     ${CMAKE_SOURCE_DIR}/kernels/*.h ${CMAKE_SOURCE_DIR}/src/*.h)
if(GM_CUDA)
  file(GLOB gm_cuda_headers RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.cuh
       ${CMAKE_SOURCE_DIR}/src/cuda/*.cuh)
else()
  list(FILTER gm_headers EXCLUDE REGEX "^src/cuda/")
endif()

# Sets `result` to the generated files, which end in `suffix`.
function(gm_write_header_checks result suffix)
  set(checks)
  foreach(header ${ARGN})
    string(MAKE_C_IDENTIFIER ${header} stem)
    string(REGEX REPLACE "^include/" "" spelling ${header})
    set(check ${CMAKE_BINARY_DIR}/header_check/${stem}.${suffix})
    file(CONFIGURE OUTPUT ${check} CONTENT "#include \"${spelling}\"\n#include \"${spelling}\"\n")
    list(APPEND checks ${check})
  endforeach()
  set(${result} ${checks} PARENT_SCOPE)
endfunction()

gm_write_header_checks(gm_header_checks cpp ${gm_headers})
add_library(header_check OBJECT EXCLUDE_FROM_ALL ${gm_header_checks})
gm_compile_options(header_check)
target_compile_options(header_check PRIVATE -O0 -g0)
# Kernels are compiled once an instruction set, each in a namespace of that name.
target_compile_definitions(header_check PRIVATE GM_TARGET=on_header_check)
target_link_libraries(header_check PRIVATE fmt::fmt xxhash::xxhash Threads::Threads)
if(GM_CUDA)
  target_include_directories(header_check SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${GM_CURAND_INCLUDE_DIR})
endif()
if(gm_cuda_headers)
  gm_write_header_checks(gm_cuda_header_checks cu ${gm_cuda_headers})
  add_library(header_check_cuda OBJECT EXCLUDE_FROM_ALL ${gm_cuda_header_checks})
  gm_compile_options(header_check_cuda)
  gm_cuda_compile_options(header_check_cuda)
  target_compile_definitions(header_check_cuda PRIVATE GM_TARGET=on_header_check)
  add_dependencies(header_check header_check_cuda)
endif()
