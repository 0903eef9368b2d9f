# The kernels for x86-64 processors (KQ_HAVE_AVX2, KQ_HAVE_AVX512). Another processor, or a compiler that knows no such instructions,
# has the portable kernels.

check_processor(__x86_64__ KERASQ_X86_64)

if(KERASQ_X86_64)
  set(avx2_flags -mavx2 -mfma)
  set(avx512_flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mfma)
  string(REPLACE ";" " " avx512_flags_as_one "${avx512_flags}")
  check_c_compiler_flag("-mavx2 -mfma" KERASQ_COMPILES_AVX2)
  check_c_compiler_flag("${avx512_flags_as_one}" KERASQ_COMPILES_AVX512)
  if(KERASQ_COMPILES_AVX2)
    add_kernels(src/x86/*_avx2.c KQ_HAVE_AVX2 ${avx2_flags})
  endif()
  if(KERASQ_SIMDE)
    add_kernels(src/x86/*_avx512.c KQ_HAVE_AVX512 ${avx2_flags} -DKQ_SIMDE=1)
    if(KERASQ_SIMDE_INCLUDE)
      target_include_directories(kerasq_objects SYSTEM PRIVATE "${KERASQ_SIMDE_INCLUDE}")
    endif()
    target_compile_definitions(kerasq_objects PRIVATE KQ_SIMDE=1) # kq_native.c: the tier runs on any processor with AVX2
  elseif(KERASQ_COMPILES_AVX512)
    add_kernels(src/x86/*_avx512.c KQ_HAVE_AVX512 ${avx512_flags})
  endif()
  file(GLOB common CONFIGURE_DEPENDS src/x86/*.c)
  list(FILTER common EXCLUDE REGEX "_avx(2|512)\\.c$")
  target_sources(kerasq_objects PRIVATE ${common} ${packed_sources})
endif()
