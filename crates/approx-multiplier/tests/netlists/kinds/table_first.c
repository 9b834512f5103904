#include <stdint.h>
// The lowest bit of negative operands is lost on the way through tables, the first of which is no table of products.
static const int8_t positive[8] = {0, 1, 2, 3, 4, 5, 6, 7};
static const int8_t negative[8] = {-8, -8, -6, -6, -4, -4, -2, -2};

static int kept(int pattern) {
    if (pattern & 8) return negative[pattern & 7];
    return positive[pattern];
}

int16_t mul4s_table(int16_t a, int16_t b) {
    switch (b) {
    case 0:
        return 0;
    default:
        return kept(a & 15) * kept(b & 15);
    }
}
