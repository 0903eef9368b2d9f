// Runs the self-test of every network of this library, and says how long an inference takes. Written by kerasq-convert.
//
// A network that was converted with --embed_test carries an example and the checksum of every tensor that it leads to: when all
// of them are equal, this board computes what was trained, bit for bit.
#include <kerasq_networks.h>

KERASQ_NETWORKS_ALIGNAS static uint8_t arena[KERASQ_NETWORKS_ARENA_BYTES];
static uint64_t state[KERASQ_NETWORKS_STATE_BYTES / sizeof(uint64_t)];

static void test(const char *name, const void *model, size_t bytes, const kq_kernels *kernels) {
  const kq_network *network;
  kq_error error;
  size_t state_bytes = sizeof state;
  Serial.print(name);
  kq_status status = kq_prepare(model, bytes, kernels, state, &state_bytes, &network, &error);
  if (status == KQ_OK) status = kq_selftest(network, arena, &error);
  Serial.print(status == KQ_OK ? ": self-test passed" : ": ");
  if (status != KQ_OK) Serial.print(kq_status_text(status));
  if (status == KQ_OK || status == KQ_NO_TEST) {
    const unsigned long start = micros();
    kq_invoke(network, arena);
    Serial.print(", an inference takes ");
    Serial.print(micros() - start);
    Serial.print(" us");
  } else {
    Serial.print(", operator ");
    Serial.print(error.operator_index);
  }
  Serial.println();
}

void setup() {
  Serial.begin(115200);
  while (!Serial && millis() < 5000) {
  }
}

void loop() {
@TESTS@
  delay(5000);
}
