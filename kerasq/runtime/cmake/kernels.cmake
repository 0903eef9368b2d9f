# Kernels for some processors. Each file is compiled for its instructions alone; kq_native.c asks the processor for them, and learns
# by a macro which files there are.

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

# Compiles the files of `pattern`, with flags.
function(add_kernels pattern macro)
  file(GLOB sources CONFIGURE_DEPENDS ${pattern})
  if(sources)
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${ARGN}")
    target_sources(kerasq_objects PRIVATE ${sources})
    target_compile_definitions(kerasq_objects PRIVATE ${macro}=1)
  endif()
endfunction()

# Not CMAKE_SYSTEM_PROCESSOR: -m32, or a library for two processors (macOS), compiles for something else.
function(check_processor macro variable)
  check_c_source_compiles("
#if !defined(${macro})
#error not compiling for that processor alone
#endif
int main(void) { return 0; }" ${variable})
endfunction()
