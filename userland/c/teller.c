// Lets somebody's number grow, `kpio:demo/counter`, as often as its argument says, and says what it is then.

#include <stdio.h>
#include <stdlib.h>

#include "client.h"

static const char *const FAILURES[] = {"unavailable", "lost", "revoked", "busy", "too-large"};

int main(int count, char **words) {
    int rounds = count > 1 ? atoi(words[1]) : 1;
    for (int round = 0; round < rounds; round++) {
        uint64_t number;
        kpio_demo_counter_link_failure_t failure;
        if (kpio_demo_counter_add(1, &number, &failure)) {
            printf("the number is %llu\n", (unsigned long long)number);
        } else {
            printf("the number is %s\n", FAILURES[failure]);
        }
    }
    return 0;
}
