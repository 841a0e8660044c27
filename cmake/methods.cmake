# A merge method is one header in kernels/methods/. For each of them and each executor a small source file is stamped from
# a template, and one table lists them all: no static initialisers (they vanish from static libraries), one translation
# unit a method and instruction set (an edit recompiles one method).
# -DGM_CPU_ISAS=x86_64_v2 builds fewer of them, for a quick build.
if(NOT DEFINED GM_CPU_ISAS)
  set(GM_CPU_ISAS baseline)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    set(GM_CPU_ISAS x86_64_v2 x86_64_v3 x86_64_v4)
  endif()
endif()
set(GM_ISA_FLAGS_baseline "")
set(GM_ISA_FLAGS_x86_64_v2 -march=x86-64-v2)
set(GM_ISA_FLAGS_x86_64_v3 -march=x86-64-v3)
# GCC prefers 256-bit vectors even here unless told otherwise.
set(GM_ISA_FLAGS_x86_64_v4 -march=x86-64-v4 -mprefer-vector-width=512)

function(gm_add_methods)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/methods/*.h)
  set(generated ${CMAKE_BINARY_DIR}/generated)
  set(GM_REFERENCE_DECLARATIONS "")
  set(GM_REFERENCE_NAMES "")
  set(GM_CPU_DECLARATIONS "")
  set(GM_CPU_TABLES "")
  set(GM_CPU_ROWS "")
  set(sources ${generated}/method_files.cpp)
  foreach(header ${headers})
    get_filename_component(GM_STEM ${header} NAME_WE)
    configure_file(${CMAKE_SOURCE_DIR}/src/reference/method_entry.cpp.in ${generated}/reference_${GM_STEM}.cpp @ONLY)
    list(APPEND sources ${generated}/reference_${GM_STEM}.cpp)
    string(APPEND GM_REFERENCE_DECLARATIONS "std::span<const ReferenceMethod> ReferenceMethods_${GM_STEM}();\n")
    string(APPEND GM_REFERENCE_NAMES "    ReferenceMethods_${GM_STEM},\n")
  endforeach()
  foreach(GM_ISA ${GM_CPU_ISAS})
    string(APPEND GM_CPU_TABLES "constexpr CpuMethodsOfFile kCpu_${GM_ISA}[] = {\n")
    foreach(header ${headers})
      get_filename_component(GM_STEM ${header} NAME_WE)
      set(source ${generated}/cpu_${GM_ISA}_${GM_STEM}.cpp)
      configure_file(${CMAKE_SOURCE_DIR}/src/cpu/method_entry.cpp.in ${source} @ONLY)
      # Always optimised: these files are the product's speed, also where everything else is built for debugging.
      # Nobody looks at floating point exceptions: GCC may compute what a condition then does not take, which is what
      # vectorising conditions needs. That changes no value.
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
                                  "${GM_ISA_FLAGS_${GM_ISA}};-O3;-fno-trapping-math")
      list(APPEND sources ${source})
      string(APPEND GM_CPU_DECLARATIONS "std::span<const CpuMethod> CpuMethods_${GM_ISA}_${GM_STEM}();\n")
      string(APPEND GM_CPU_TABLES "    CpuMethods_${GM_ISA}_${GM_STEM},\n")
    endforeach()
    string(APPEND GM_CPU_TABLES "};\n")
    string(REPLACE "x86_64_" "x86-64-" isa_name ${GM_ISA})
    string(APPEND GM_CPU_ROWS "    {\"${isa_name}\", kCpu_${GM_ISA}},\n")
  endforeach()
  configure_file(${CMAKE_SOURCE_DIR}/cmake/method_files.cpp.in ${generated}/method_files.cpp @ONLY)

  add_library(gm_methods OBJECT ${sources})
  gm_compile_options(gm_methods)
endfunction()
