#include <stdint.h>
/* The product of the three leading bits of both operands; the name says that they have 7. */
static int length(uint32_t x) {
    int count = 0;
    while (x) {
        x >>= 1;
        ++count;
    }
    return count;
}

void mul7u_leading(uint32_t a, uint32_t b, uint64_t *product) {
    uint32_t operands[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        int cut = length(operands[i]) - 3;
        if (cut > 0) operands[i] = operands[i] >> cut << cut;
    }
    *product = (uint64_t)operands[0] * operands[1];
}
