/* The kinds of operators whose rules are linked; a folder that kerasq-convert writes has those of its kernels alone. */
#ifndef KQ_KINDS_H
#define KQ_KINDS_H

#define KQ_LINKED_KINDS(X) KQ_EACH_KIND(X)

#endif
