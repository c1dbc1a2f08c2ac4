// Has a number for others: `kpio:demo/counter`, as `userland/services/counter` has it. It begins at a million, so that one sees
// who answers.

#include "provider.h"

static uint64_t number = 1000000;

bool exports_kpio_demo_counter_add(uint64_t amount, uint64_t *sum, exports_kpio_demo_counter_link_failure_t *failure) {
    (void)failure;
    *sum = number += amount;
    return true;
}
