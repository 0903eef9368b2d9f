"""A folder that a firmware project takes as it is: what `kerasq-convert --emit_c DIR --c_runtime` writes."""
