# The kernels for x86-64 processors. Each file is compiled for its instructions alone; kq_native.c asks the processor for them and
# learns by KQ_HAVE_AVX2 and KQ_HAVE_AVX512 which files there are. Another processor, or a compiler that knows no such
# instructions, has the portable kernels.

include(CheckCSourceCompiles)

function(add_x86_kernels pattern macro)
  file(GLOB sources CONFIGURE_DEPENDS ${pattern})
  if(sources)
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${ARGN}")
    target_sources(kerasq_objects PRIVATE ${sources})
    target_compile_definitions(kerasq_objects PRIVATE ${macro}=1)
  endif()
endfunction()

# Not CMAKE_SYSTEM_PROCESSOR: -m32, or a library for two processors (macOS), compiles for something else.
check_c_source_compiles("
#if !defined(__x86_64__)
#error not compiling for x86-64 alone
#endif
int main(void) { return 0; }" KERASQ_X86_64)

if(KERASQ_X86_64)
  set(avx2_flags -mavx2 -mfma)
  set(avx512_flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mfma)
  include(CheckCCompilerFlag)
  string(REPLACE ";" " " avx512_flags_as_one "${avx512_flags}")
  check_c_compiler_flag("-mavx2 -mfma" KERASQ_COMPILES_AVX2)
  check_c_compiler_flag("${avx512_flags_as_one}" KERASQ_COMPILES_AVX512)
  if(KERASQ_COMPILES_AVX2)
    add_x86_kernels(src/x86/*_avx2.c KQ_HAVE_AVX2 ${avx2_flags})
  endif()
  if(KERASQ_SIMDE)
    add_x86_kernels(src/x86/*_avx512.c KQ_HAVE_AVX512 ${avx2_flags} -DKQ_SIMDE=1)
    if(KERASQ_SIMDE_INCLUDE)
      target_include_directories(kerasq_objects SYSTEM PRIVATE "${KERASQ_SIMDE_INCLUDE}")
    endif()
    target_compile_definitions(kerasq_objects PRIVATE KQ_SIMDE=1) # kq_native.c: the tier runs on any processor with AVX2
  elseif(KERASQ_COMPILES_AVX512)
    add_x86_kernels(src/x86/*_avx512.c KQ_HAVE_AVX512 ${avx512_flags})
  endif()
  file(GLOB common CONFIGURE_DEPENDS src/x86/*.c)
  list(FILTER common EXCLUDE REGEX "_avx(2|512)\\.c$")
  target_sources(kerasq_objects PRIVATE ${common})
endif()
