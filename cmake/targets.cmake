# How this project's targets are compiled. Bits come first: no contraction of a*b+c, never fast-math, in every target.
function(gm_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_SOURCE_DIR})
  # CUDA files have flags of their own (gm_cuda_compile_options).
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wconversion;-Wsign-conversion>"
                         "$<$<COMPILE_LANGUAGE:CXX>:-Wshadow;-Werror;-ffp-contract=off;-fno-fast-math>")
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 sees overlaps in std::string's operator+ that are not there (GCC bug 105651).
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
  target_compile_definitions(${target} PRIVATE GPUMERGE_VERSION="${PROJECT_VERSION}")
  if(GPUMERGE_SANITIZE)
    # GCC warns of things that are not there in instrumented code; the dev preset holds the same files to -Werror.
    target_compile_options(${target} PRIVATE -Wno-error)
    target_compile_options(${target} PRIVATE -fsanitize=${GPUMERGE_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${GPUMERGE_SANITIZE})
  endif()
endfunction()

# One folder of src/ as an object library `gm_<name>`: every .cpp in it. USES names lower layers (for readers of this
# file; include paths are the repository root, and scripts/check_layers.py keeps the order).
function(gm_add_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPS;USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  add_library(gm_${name} OBJECT ${sources})
  set_target_properties(gm_${name} PROPERTIES LINKER_LANGUAGE CXX)
  gm_compile_options(gm_${name})
  target_link_libraries(gm_${name} PUBLIC ${LAYER_DEPS})
endfunction()

# Adds the objects of layers, and the libraries they need, to a target. With the layer `cuda` comes a CUDA runtime: the
# static one, or with EMULATED the one that runs on the CPU.
function(gm_link_layers target)
  cmake_parse_arguments(LINK "EMULATED" "" "" ${ARGN})
  gm_compile_options(${target})
  foreach(layer ${LINK_UNPARSED_ARGUMENTS})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:gm_${layer}>)
    get_target_property(deps gm_${layer} LINK_LIBRARIES)
    if(deps)
      target_link_libraries(${target} PUBLIC ${deps})
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  if(LINK_EMULATED)
    target_link_libraries(${target} PUBLIC cudart_emulated)
  elseif(GM_CUDA AND "cuda" IN_LIST LINK_UNPARSED_ARGUMENTS)
    target_link_libraries(${target} PUBLIC CUDA::cudart_static)
  endif()
endfunction()
