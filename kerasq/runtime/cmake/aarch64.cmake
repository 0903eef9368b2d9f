# The kernels for AArch64 processors (KQ_HAVE_NEON, KQ_HAVE_DOTPROD): NEON, which all of them have, and SDOT. They plan their products
# as the kernels for x86-64 do (packed_sources).

check_processor(__aarch64__ KERASQ_AARCH64)

if(KERASQ_AARCH64 AND CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
  check_c_compiler_flag(-march=armv8.2-a+dotprod KERASQ_COMPILES_DOTPROD)
  if(KERASQ_COMPILES_DOTPROD)
    add_kernels(src/neon/*_dotprod.c KQ_HAVE_DOTPROD -march=armv8.2-a+dotprod)
  endif()
  file(GLOB neon CONFIGURE_DEPENDS src/neon/*.c)
  list(FILTER neon EXCLUDE REGEX "_dotprod\\.c$")
  target_sources(kerasq_objects PRIVATE ${neon} ${packed_sources})
  target_compile_definitions(kerasq_objects PRIVATE KQ_HAVE_NEON=1)
endif()
