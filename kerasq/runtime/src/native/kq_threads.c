/* One example in several threads: operators one after the other, the work of large ones divided (packed/kq_split.h). */
#include "../kq_internal.h"
#include "kq_team.h"

#define ADDRESS(name) &name,
#if defined(KQ_HAVE_AVX2)
#include "../x86/kq_x86_kernels.h"
static const kq_split *const splits[] = {
#ifdef KQ_HAVE_AVX512
    KQ_AVX512_SPLITS(ADDRESS)
#endif
    KQ_AVX2_SPLITS(ADDRESS) NULL};
#elif defined(KQ_HAVE_NEON)
#include "../neon/kq_neon_kernels.h"
static const kq_split *const splits[] = {
#ifdef KQ_HAVE_DOTPROD
    KQ_DOTPROD_SPLITS(ADDRESS)
#endif
    KQ_NEON_SPLITS(ADDRESS) NULL};
#else
#include "../packed/kq_split.h"
static const kq_split *const splits[] = {NULL};
#endif

/* Work, in multiply-accumulates of a convolution, of which a core does 50 to 200 in a nanosecond: of operators and of networks that
 * are worth dividing. To begin and end a stage takes about a microsecond, to wake a thread ten. */
enum { OPERATOR_WORK = 1 << 20, NETWORK_WORK = 1 << 26 };
enum { LEAST_PIECES = 4, PIECES_EACH = 3 }; /* of an operator; and for a thread: who is late finds something left */

/* How an operator is divided; NULL where it isn't. */
static const kq_split *split_of(const kq_operator *op) {
  for (const kq_split *const *split = splits; *split != NULL; ++split) {
    if ((*split)->kernel == op->kernel) return *split;
  }
  return NULL;
}

/* Its work, where that is at least `least`, and can be divided; else 0. */
static uint64_t divided_work(const kq_operator *op, uint64_t least) {
  const kq_split *split = split_of(op);
  const uint64_t work = split == NULL ? 0 : split->cost * kq_macs(op);
  return work < least ? 0 : work;
}

uint32_t kq_native_threads(const kq_network *network, uint32_t threads) {
  uint64_t work = 0;
  for (uint32_t i = 0; i < network->operator_count; ++i) work += divided_work(&network->operators[i], OPERATOR_WORK);
  return work >= NETWORK_WORK ? threads : 1;
}

/* ---- Memory: the arena, what all threads share, what each has of its own ---- */

typedef struct {
  size_t shared, own, own_bytes, end;
} layout;

static size_t to_cache_line(size_t size) { return (size + KQ_CACHE_LINE - 1) / KQ_CACHE_LINE * KQ_CACHE_LINE; }

static size_t larger(size_t a, size_t (*bytes)(const kq_operator *), const kq_operator *op) {
  const size_t b = bytes == NULL ? 0 : to_cache_line(bytes(op));
  return a > b ? a : b;
}

static layout lay_out(const kq_network *network, uint32_t threads) {
  layout l = {.shared = to_cache_line(network->arena_bytes)};
  size_t shared_bytes = 0;
  for (uint32_t i = 0; i < network->operator_count; ++i) {
    const kq_operator *op = &network->operators[i];
    const kq_split *split = split_of(op);
    if (split == NULL) continue;
    shared_bytes = larger(shared_bytes, split->shared_bytes, op);
    l.own_bytes = larger(l.own_bytes, split->own_bytes, op);
  }
  l.own = l.shared + shared_bytes;
  l.end = l.own + threads * l.own_bytes;
  return l;
}

size_t kq_native_arena_bytes(const kq_network *network, uint32_t threads) {
  return threads < 2 ? network->arena_bytes : lay_out(network, threads).end;
}

/* ---- Runs ---- */

/* A stage of an operator. */
typedef struct {
  const kq_split *split;
  kq_piece piece;
  size_t own_bytes;
} stage;

static void compute_piece(void *context, uint32_t member, uint32_t item) {
  const stage *const s = context;
  kq_piece piece = s->piece;
  piece.number = item;
  piece.own += member * s->own_bytes;
  s->split->compute(&piece);
}

static void run_divided(const kq_operator *op, uint32_t wanted, kq_team *team, const layout *place, uint8_t *arena) {
  stage s = {
      .split = split_of(op),
      .piece = {.op = op, .arena = arena, .shared = arena + place->shared, .own = arena + place->own},
      .own_bytes = place->own_bytes,
  };
  for (uint32_t i = 0; i < s.split->stages; ++i) {
    s.piece.stage = i;
    s.piece.pieces = s.split->pieces(op, i, wanted);
    kq_team_share(team, compute_piece, &s, s.piece.pieces);
  }
}

void kq_native_run(const kq_network *network, kq_team *team, void *arena, const void *const *inputs, void *const *outputs,
                   size_t examples) {
  if (team == NULL || !kq_team_take(team)) {
    kq_run(network, arena, inputs, outputs, examples);
    return;
  }
  const layout place = lay_out(network, kq_team_threads(team));
  const uint64_t least = kq_team_least_macs(team) == 0 ? OPERATOR_WORK : kq_team_least_macs(team);
  const uint64_t most = (uint64_t)PIECES_EACH * kq_team_threads(team);
  for (size_t example = 0; example < examples; ++example) {
    kq_set_inputs(network, arena, inputs, example);
    for (uint32_t i = 0; i < network->operator_count; ++i) {
      const kq_operator *op = &network->operators[i];
      const uint64_t work = divided_work(op, least);
      if (work == 0) {
        op->kernel->run(op, arena);
      } else {
        run_divided(op, kq_least(work / least * LEAST_PIECES, most), team, &place, arena);
      }
    }
    kq_get_outputs(network, arena, outputs, example);
  }
  kq_team_leave(team);
}
