/* A few threads that wait for work, and share it. Only the native engine has them; a firmware links nothing of this.
 *
 * A job is a number of items, which are all computed by one function, in any order and by any of the threads. Who begins a job
 * takes part in it: it never waits for a thread to begin, only for what another one has begun, so that threads that the system
 * keeps from running cost nothing. Those without work look for it for some microseconds, then sleep. */
#ifndef KQ_TEAM_H
#define KQ_TEAM_H

#include "kerasq_native.h"

/* Item number `item`; `member` is the thread's number, 0 for that of the caller. */
typedef void (*kq_item)(void *context, uint32_t member, uint32_t item);

uint32_t kq_team_threads(const kq_team *team);
uint32_t kq_team_least_macs(const kq_team *team);

/* Begins a time in which the team is the caller's alone; false where another thread has it, or threads of another process. And ends
 * it. Between them: */
bool kq_team_take(kq_team *team);
void kq_team_leave(kq_team *team);

/* Computes `items` items and returns when all are done. */
void kq_team_share(kq_team *team, kq_item compute, void *context, uint32_t items);

#endif
