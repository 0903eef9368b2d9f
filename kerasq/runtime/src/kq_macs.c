#include "kq_rules.h"

uint64_t kq_macs(const kq_operator *op) {
  const kq_rules *rules = kq_rules_of(op->kind);
  return rules->macs == NULL ? 0 : rules->macs(op);
}
