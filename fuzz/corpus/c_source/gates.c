#include <stdint.h>
uint64_t mul2u_gates(const uint64_t A, const uint64_t B)
{
  uint64_t O = 0;
  uint8_t n1 = ((A >> 1) & 1) & ((B >> 0) & 1);
  uint8_t n2 = ((A >> 0) & 1) & ((B >> 1) & 1);
  uint8_t n3 = ((A >> 1) & 1) & ((B >> 1) & 1), n4 = n1 & n2;
  O |= (A & B & 1) << 0;
  O |= (uint64_t)(n1 ^ n2) << 1;
  O |= (uint64_t)((~n3 & n4) | (n3 & !n4)) << 2;
  O |= (uint64_t)(n3 & n4) << 3;
  return O;
}
