/* A few threads that share work: see kq_team.h. KQ_HAVE_THREADS says that there are those of POSIX; there are no teams elsewhere,
 * nor where the compiler lacks GCC's atomic functions. */
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "../packed/kq_split.h"
#include "kq_team.h"

#if defined(KQ_HAVE_THREADS) && defined(__GNUC__)

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_THREADS = 64, LOOKS = 4000, LOOKS_BEFORE_YIELD = 20000 };

struct kq_team {
  kq_item compute;
  void *context;
  uint32_t items, done;
  uint32_t sleeping; /* members that wait for `wake` */
  uint32_t leaving;  /* members are to end */
  uint32_t taken;    /* by a caller */
  uint32_t members, least_macs;
  pid_t process;     /* a child of it has the memory, but no threads */
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  struct {
    /* The number of a job in the upper half, and in the lower one how many of the member's items nobody has taken. Whoever sees that
     * there are some sees the job's fields, too: they were written before, and are not written to again until all items are done.
     * If it then can take one, they were those of its job. */
    uint64_t ticket;
    uint8_t apart[64]; /* members don't wait for each other's cache lines */
    kq_team *team;
    pthread_t thread;
  } member[MOST_THREADS]; /* the first is whoever calls */
};

#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define STORE(field, value) __atomic_store_n(&(field), value, __ATOMIC_SEQ_CST)
#define PEEK(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define PUT(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELAXED)

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __asm__ volatile("pause");
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Members' items are parts as kq_part_begin says: neighbours are for one member, which may have their inputs in its cache. */

/* Takes an item of those of member `owner` and computes it as `member`; false where there is none. */
static bool compute_of(kq_team *team, uint32_t owner, uint32_t member) {
  uint64_t ticket = LOAD(team->member[owner].ticket);
  while ((uint32_t)ticket != 0) {
    const kq_item compute = PEEK(team->compute);
    void *const context = PEEK(team->context);
    const uint32_t end = kq_part_begin(PEEK(team->items), owner + 1, team->members);
    if (!__atomic_compare_exchange_n(&team->member[owner].ticket, &ticket, ticket - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
      continue;
    }
    compute(context, member, end - (uint32_t)ticket);
    __atomic_add_fetch(&team->done, 1, __ATOMIC_SEQ_CST);
    return true;
  }
  return false;
}

/* One of its own items, else one of another's: not of the next one's first, so that a piece that must not come before another one
 * shows in a test even where a single thread computes all. */
static bool compute_one(kq_team *team, uint32_t member) {
  const uint32_t members = LOAD(team->members);
  for (uint32_t i = 0; i < members; ++i) {
    if (compute_of(team, (member + members - i) % members, member)) return true;
  }
  return false;
}

static bool has_work(kq_team *team) {
  const uint32_t members = LOAD(team->members);
  for (uint32_t i = 0; i < members; ++i) {
    if ((uint32_t)LOAD(team->member[i].ticket) != 0) return true;
  }
  return LOAD(team->leaving) != 0;
}

/* Looks for work, then sleeps until there is some. */
static void await_work(kq_team *team) {
  for (int looks = 0; looks < LOOKS; ++looks) {
    if (has_work(team)) return;
    relax();
  }
  pthread_mutex_lock(&team->mutex);
  STORE(team->sleeping, team->sleeping + 1); /* before the last look: who gives work sees it, or its work is seen here */
  while (!has_work(team)) pthread_cond_wait(&team->wake, &team->mutex);
  STORE(team->sleeping, team->sleeping - 1);
  pthread_mutex_unlock(&team->mutex);
}

static void wake(kq_team *team) {
  if (LOAD(team->sleeping) == 0) return;
  pthread_mutex_lock(&team->mutex);
  pthread_cond_broadcast(&team->wake);
  pthread_mutex_unlock(&team->mutex);
}

static void *live(void *argument) {
  kq_team *const team = *(kq_team **)argument;
  uint32_t number = 1;
  while (argument != &team->member[number].team) ++number;
  while (LOAD(team->leaving) == 0) {
    if (!compute_one(team, number)) await_work(team);
  }
  return NULL;
}

/* Adds a thread that takes no signals: they are for the program's own. */
static bool hire(kq_team *team) {
  sigset_t all, before;
  team->member[team->members].team = team;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  const int failed = pthread_create(&team->member[team->members].thread, NULL, live, &team->member[team->members].team);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failed) return false;
  STORE(team->members, team->members + 1);
  return true;
}

kq_team *kq_native_team(uint32_t threads, uint32_t least_macs) {
  if (threads < 2) return NULL;
  kq_team *const team = calloc(1, sizeof *team);
  if (team == NULL) return NULL;
  team->members = 1;
  team->least_macs = least_macs;
  team->process = getpid();
  if (pthread_mutex_init(&team->mutex, NULL) != 0) {
    free(team);
    return NULL;
  }
  if (pthread_cond_init(&team->wake, NULL) != 0) {
    pthread_mutex_destroy(&team->mutex);
    free(team);
    return NULL;
  }
  while (team->members < threads && team->members < MOST_THREADS && hire(team)) continue;
  if (team->members > 1) return team;
  kq_native_dismiss(team);
  return NULL;
}

void kq_native_dismiss(kq_team *team) {
  if (team == NULL) return;
  if (team->process == getpid()) {
    STORE(team->leaving, 1);
    wake(team);
    for (uint32_t i = 1; i < team->members; ++i) pthread_join(team->member[i].thread, NULL);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->mutex);
  }
  free(team);
}

uint32_t kq_team_threads(const kq_team *team) { return team->members; }

uint32_t kq_team_least_macs(const kq_team *team) { return team->least_macs; }

bool kq_team_take(kq_team *team) {
  return team->process == getpid() && __atomic_exchange_n(&team->taken, 1, __ATOMIC_SEQ_CST) == 0;
}

void kq_team_leave(kq_team *team) { STORE(team->taken, 0); }

void kq_team_share(kq_team *team, kq_item compute, void *context, uint32_t items) {
  if (items == 0) return;
  const uint64_t number = (LOAD(team->member[0].ticket) >> 32) + 1;
  PUT(team->compute, compute);
  PUT(team->context, context);
  PUT(team->items, items);
  STORE(team->done, 0);
  for (uint32_t i = team->members; i-- > 0;) {
    const uint32_t end = kq_part_begin(items, i + 1, team->members);
    STORE(team->member[i].ticket, number << 32 | (end - kq_part_begin(items, i, team->members)));
  }
  wake(team);
  while (compute_one(team, 0)) continue;
  for (int looks = 0; LOAD(team->done) != items; ++looks) {
    if (looks < LOOKS_BEFORE_YIELD) {
      relax();
    } else {
      sched_yield(); /* whoever computes the last item may have been kept from it */
    }
  }
}

#else

kq_team *kq_native_team(uint32_t threads, uint32_t least_macs) { return (void)threads, (void)least_macs, NULL; }
void kq_native_dismiss(kq_team *team) { (void)team; }
uint32_t kq_team_threads(const kq_team *team) { return (void)team, 1; }
uint32_t kq_team_least_macs(const kq_team *team) { return (void)team, 0; }
bool kq_team_take(kq_team *team) { return (void)team, false; }
void kq_team_leave(kq_team *team) { (void)team; }
void kq_team_share(kq_team *team, kq_item compute, void *context, uint32_t items) {
  (void)team;
  for (uint32_t i = 0; i < items; ++i) compute(context, 0, i);
}

#endif
