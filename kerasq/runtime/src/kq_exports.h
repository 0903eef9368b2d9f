/* What the shared library exports: the public headers. Included before every source file, where the default is hidden visibility
 * (CMakeLists.txt); compilers that do not know the pragma have another way. */
#ifdef __GNUC__
#pragma GCC visibility push(default)
#include "kerasq.h"
#include "kerasq_native.h"
#pragma GCC visibility pop
#endif
